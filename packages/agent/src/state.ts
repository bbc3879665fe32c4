import fs from "node:fs";
import path from "node:path";
import { type Baselines, emptyBaseline } from "@flowtriq/detection/baseline";
import type { Attack } from "@flowtriq/detection/detect";
import { AttackId } from "@flowtriq/protocol/event";
import { LaneId } from "@flowtriq/protocol/lane";
import { NodePolicy } from "@flowtriq/protocol/policy";
import { TrafficVerdict } from "@flowtriq/protocol/vector";
import { EnrollResponse } from "@flowtriq/protocol/wire";
import * as z from "zod/mini";
import { Problem } from "./problem.ts";

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
    fs.writeFileSync(`${target}.new`, JSON.stringify(value), { mode: 0o600 });
    fs.renameSync(`${target}.new`, target);
  }

  /** Lanes whose entry is not what it should be, as after a change of its shape, are learned anew. */
  readBaselines(): Baselines {
    const found = Object.entries(this.#read("baselines.json") ?? {});
    return Object.fromEntries(found.filter(([, baseline]) => isLike(baseline, emptyBaseline())));
  }
  writeBaselines(baselines: Baselines): void {
    this.#write("baselines.json", baselines);
  }

  /** Attacks that were open when the agent was last seen, with the moment. */
  readAttacks(): { at: number; attacks: Attack[] } | undefined {
    const found = this.#read("attacks.json") as { at?: unknown; attacks?: unknown } | undefined;
    return typeof found?.at === "number" && Array.isArray(found.attacks)
      ? { at: found.at, attacks: found.attacks.filter(isAttack) }
      : undefined;
  }
  writeAttacks(at: number, attacks: Attack[]): void {
    this.#write("attacks.json", { at, attacks });
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
