import { interfaceIndex } from "./libc.ts";
import { RuleMark } from "./rule-mark.ts";

/** What has been done to the loaded rules from outside. */
export type Damage = "rules_changed" | "interface_changed";

export const DAMAGE_WORDS: Record<Damage | "table_removed", string> = {
  table_removed: "The table was removed by another program; it is loaded again.",
  rules_changed: "Rules of the table were changed by another program; it is loaded again.",
  interface_changed: "A watched interface went away or came back; the rules are bound to those that are there.",
};

/**
 * Notices when the rules in the kernel are no longer those that were loaded, and when a watched interface is another than the one
 * they were bound to: an ingress hook dies with its device. Looking costs one small question while nobody changes any rule.
 */
export class Guard {
  readonly #mark: RuleMark;
  readonly #interfaces: string[];
  #indices: number[] = [];
  #generation = -1;
  #loaded: number | undefined;

  constructor(table: string, interfaces: string[]) {
    this.#mark = new RuleMark(table);
    this.#interfaces = interfaces;
  }

  /** Those of the watched interfaces that this host has now. */
  present(): string[] {
    return this.#interfaces.filter((name) => interfaceIndex(name) !== 0);
  }

  /** What the kernel holds now is what was loaded. */
  accept(): void {
    this.#indices = this.#interfaces.map(interfaceIndex);
    this.#generation = -1;
    this.#loaded = this.#mark.read();
  }

  /**
   * Runs what changes only elements of ours. The kernel counts every change by one, so that one which anybody else made meanwhile shows,
   * and is looked into.
   */
  own(change: () => void): void {
    const before = this.#counted();
    change();
    if (before === this.#generation && this.#counted() === before + 1) this.#generation = before + 1;
  }

  /** The kernel's count; not a number when it is too busy to say, which must not keep rules from being armed. */
  #counted(): number {
    try {
      return this.#mark.generation();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return Number.NaN;
      throw error;
    }
  }

  /** What was done since; nothing when the kernel is too busy to say. */
  look(): Damage | undefined {
    try {
      return this.#look();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
      throw error;
    }
  }

  #look(): Damage | undefined {
    if (this.#interfaces.some((name, index) => interfaceIndex(name) !== this.#indices[index]))
      return "interface_changed";
    const generation = this.#mark.generation();
    if (generation === this.#generation) return undefined;
    const mark = this.#mark.read();
    if (mark === undefined) return undefined;
    this.#loaded ??= mark;
    this.#generation = generation;
    return mark === this.#loaded ? undefined : "rules_changed";
  }

  close(): void {
    this.#mark.close();
  }
}
