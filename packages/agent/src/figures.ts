import type { AgentEvent } from "@flowtriq/protocol/event";

/** Milliseconds are the product's promise; a second is already a fault. */
export const LATENCY_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** Attacks whose latency is not known yet; more are open at once on no host. */
const MAX_OPEN = 1_000;

/** What is counted over the agent's life, out of the events that it tells. */
export class Figures {
  readonly attacks = new Map<string, number>();
  readonly warnings = new Map<string, number>();
  readonly latency = { buckets: LATENCY_BUCKETS_SECONDS.map(() => 0), sum: 0, count: 0 };
  /** Attacks of which the first packet may still be dated anew: when it came, and when rules stood. Epoch milliseconds. */
  readonly #open = new Map<string, { firstPacketAt: number; appliedAt?: number }>();

  take(event: AgentEvent): void {
    if (event.event === "agent.warning") add(this.warnings, event.code);
    else if (event.event === "attack.started") {
      this.#open.set(event.attack, { firstPacketAt: Date.parse(event.firstPacketAt) });
      if (this.#open.size > MAX_OPEN) this.#open.delete(this.#open.keys().next().value!);
    } else if (event.event === "mitigation.applied") {
      const open = this.#open.get(event.attack);
      if (open && !event.dryRun) open.appliedAt ??= Date.parse(event.at);
    } else if (event.event === "attack.classified") {
      const open = this.#open.get(event.attack);
      if (open && event.firstPacketAt) open.firstPacketAt = Date.parse(event.firstPacketAt);
      this.#settle(event.attack);
    } else if (event.event === "attack.ended") {
      add(this.attacks, event.vector);
      this.#settle(event.attack);
    }
  }

  /** From the first packet, reckoned back from the measured rate, to the rules. Once an attack. */
  #settle(attack: string): void {
    const open = this.#open.get(attack);
    this.#open.delete(attack);
    if (open?.appliedAt === undefined) return;
    const seconds = Math.max(0, open.appliedAt - open.firstPacketAt) / 1000;
    const { latency } = this;
    latency.count++;
    latency.sum += seconds;
    LATENCY_BUCKETS_SECONDS.forEach((bound, index) => {
      if (seconds <= bound) latency.buckets[index]!++;
    });
  }
}

const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
