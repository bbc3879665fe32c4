import fs from "node:fs";
import path from "node:path";
import { Baselines } from "@flowtriq/detection/baseline";
import type { Attack } from "@flowtriq/detection/detect";
import { NodePolicy } from "@flowtriq/protocol/policy";
import { EnrollResponse } from "@flowtriq/protocol/wire";
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

  readBaselines(): Baselines {
    return Baselines.from(this.#read("baselines.json"));
  }
  writeBaselines(baselines: Baselines): void {
    this.#write("baselines.json", baselines);
  }

  /** Attacks that were open when the agent was last seen, with the moment. */
  readAttacks(): { at: number; attacks: Attack[] } | undefined {
    const found = this.#read("attacks.json") as { at?: unknown; attacks?: unknown } | undefined;
    return typeof found?.at === "number" && Array.isArray(found.attacks)
      ? { at: found.at, attacks: found.attacks as Attack[] }
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
