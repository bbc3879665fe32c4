import fs from "node:fs";
import path from "node:path";
import { Baselines } from "@flowtriq/detection/baseline";
import type { Attack } from "@flowtriq/detection/detect";
import { AgentEvent, AttackId } from "@flowtriq/protocol/event";
import { LaneId } from "@flowtriq/protocol/lane";
import { NodePolicy } from "@flowtriq/protocol/policy";
import { TrafficVerdict } from "@flowtriq/protocol/vector";
import { EnrollResponse } from "@flowtriq/protocol/wire";
import * as z from "zod/mini";
import { Problem } from "./problem.ts";

/**
 * Attacks that are open, those among them whose rules were taken back, and the events that tell of the last change: written
 * before these are told, so that a successor tells what its predecessor could not.
 */
export type OpenAttacks = {
  at: number;
  attacks: Attack[];
  withdrawn: string[];
  /** Everything was taken back by hand, until the next start. */
  stoodDown: boolean;
  events: AgentEvent[];
};

/** The agent's folder: what it learned, what it is doing, who it is. Each file is replaced whole, so a crash leaves the old one. */
export class StateDir {
  readonly path: string;

  constructor(directory: string) {
    this.path = directory;
    try {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      fs.accessSync(directory, fs.constants.W_OK);
    } catch (error) {
      throw new Problem(
        `cannot write to ${directory}: ${(error as Error).message}`,
        'Set "stateDir" to a folder that the agent may write to.',
        1,
        error,
      );
    }
  }

  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Undefined when the file is absent or not what it should be: a broken file must not stop the protection. */
  #read(name: string): unknown {
    try {
      return JSON.parse(fs.readFileSync(this.file(name), "utf8"));
    } catch {
      return undefined;
    }
  }

  #write(name: string, value: unknown): void {
    const target = this.file(name);
    try {
      fs.writeFileSync(`${target}.new`, JSON.stringify(value), { mode: 0o600 });
      fs.renameSync(`${target}.new`, target);
    } catch (error) {
      // Half a file helps nobody, and holds the room that the events need.
      fs.rmSync(`${target}.new`, { force: true });
      throw error;
    }
  }

  /** Lanes whose entry is not what it should be, as after a change of its shape, are learned anew. */
  readBaselines(): Baselines {
    return Baselines.from(this.#read("baselines.json"));
  }
  writeBaselines(baselines: Baselines): void {
    this.#write("baselines.json", baselines);
  }

  /** What the agent was doing when it was last seen. */
  readAttacks(): OpenAttacks | undefined {
    const found = this.#read("attacks.json") as Partial<Record<keyof OpenAttacks, unknown>> | undefined;
    if (typeof found?.at !== "number" || !Array.isArray(found.attacks)) return undefined;
    return {
      at: found.at,
      attacks: found.attacks.filter(isAttack),
      stoodDown: found.stoodDown === true,
      withdrawn: Array.isArray(found.withdrawn) ? found.withdrawn.map(String) : [],
      events: Array.isArray(found.events)
        ? found.events.flatMap((event) => AgentEvent.safeParse(event).data ?? [])
        : [],
    };
  }
  writeAttacks(open: OpenAttacks): void {
    this.#write("attacks.json", open);
  }

  readPolicy(): NodePolicy | undefined {
    return NodePolicy.safeParse(this.#read("policy.json")).data;
  }
  writePolicy(policy: NodePolicy): void {
    this.#write("policy.json", policy);
  }

  /** Who the service says we are; the policy in it is the one of the day of enrolment. */
  readIdentity(): EnrollResponse | undefined {
    return EnrollResponse.safeParse(this.#read("node.json")).data;
  }
  writeIdentity(identity: EnrollResponse): void {
    this.#write("node.json", identity);
  }

  /** The service that this node has enrolled with by hand; a configuration that names one goes before. */
  readService(): { url: string } | undefined {
    const found = this.#read("service.json") as { url?: unknown } | undefined;
    return typeof found?.url === "string" ? { url: found.url } : undefined;
  }
  writeService(service: { url: string }): void {
    this.#write("service.json", service);
  }

  /** Made once, so that enrolling again gives the same node. */
  machineId(): string {
    const found = this.#read("machine.json") as { id?: unknown } | undefined;
    if (typeof found?.id === "string" && found.id.length >= 8) return found.id;
    const id = crypto.randomUUID();
    this.#write("machine.json", { id });
    return id;
  }
}

/** Same fields, and numbers that are numbers, as the example. */
function isLike(value: unknown, example: object): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(example).every(([key, inner]) => {
    const own = (value as Record<string, unknown>)[key];
    if (typeof inner === "number") return Number.isFinite(own);
    return typeof inner === "object" && inner !== null ? isLike(own, inner) : typeof own === typeof inner;
  });
}

const SavedAttack = z.looseObject({
  id: AttackId,
  target: z.string(),
  lanes: z.array(LaneId).check(z.minLength(1)),
  verdict: TrafficVerdict,
  confidence: z.number(),
  evidence: z.array(z.string()),
  classified: z.boolean(),
  tunnelsBefore: z.nullable(z.number()),
  tunnelsLowest: z.nullable(z.number()),
  tunnels: z.nullable(z.number()),
});
const ATTACK_NUMBERS = {
  ...{ firstPacketAt: 0, trippedAt: 0, startedAt: 0, lastSeenAt: 0, packets: 0, droppedPackets: 0 },
  ...{ thresholdPps: 0, pps: 0, bps: 0, passedPps: 0, peakPps: 0, peakBps: 0 },
} satisfies Partial<Attack>;

const isAttack = (value: unknown): value is Attack =>
  SavedAttack.safeParse(value).success && isLike(value, ATTACK_NUMBERS);
