import type { LaneId } from "@flowtriq/protocol/lane";

/**
 * Cumulative counters of one lane, as the kernel holds them. `dropped` is part of `packets`. Of a handshake lane only, and
 * where they are counted: `finished`, the server's own packets that only a finished handshake gets; `sent`, all that the server
 * sends from this port; `cookies`, its WireGuard cookie replies; `known`, handshakes from peers that it has answered before.
 */
export type LaneCount = {
  packets: number;
  bytes: number;
  dropped: number;
  droppedBytes: number;
  finished: number;
  sent?: number;
  cookies?: number;
  known?: number;
};
export type Counts = ReadonlyMap<LaneId, LaneCount>;
/** Rates of one lane between two readings. */
export type LaneRate = { pps: number; bps: number; droppedPps: number; droppedBps: number };
export type Reading = { at: number; counts: Counts };

/** Between two readings further apart the host slept, or its clock was set. */
const GAP_MS = 60_000;

/** The last two readings of all counters, and the rates between them. */
export class Readings {
  before: Reading | undefined;
  latest: Reading | undefined;
  /** Live tunnels; null: nobody can tell. */
  tunnels: number | null = null;
  readonly #rates = new Map<LaneId, LaneRate>();

  get rates(): ReadonlyMap<LaneId, LaneRate> {
    return this.#rates;
  }

  /** Milliseconds by which the clock was set, or the host slept, if a reading comes at this time; else 0. */
  leap(at: number): number {
    const step = this.latest ? at - this.latest.at : 0;
    return step < 0 || step > GAP_MS ? step : 0;
  }

  /** False for the first reading, and for one that is not later than the last: there is no rate then. */
  take(at: number, counts: Counts, tunnels: number | null): boolean {
    this.before = this.latest;
    this.latest = { at, counts };
    this.tunnels = tunnels;
    if (!this.before || at <= this.before.at) return false;
    this.#measure(this.before.counts, counts, (at - this.before.at) / 1000);
    return true;
  }

  /** What a lane's counters stand at. */
  of(lane: LaneId): LaneCount | undefined {
    return this.latest?.counts.get(lane);
  }

  /** In place: this happens for every lane, every second. */
  #measure(before: Counts, after: Counts, seconds: number): void {
    for (const [lane, now] of after) {
      const then = before.get(lane);
      // A counter that ran backwards belongs to a table that was loaded anew.
      if (!then || now.packets < then.packets) {
        this.#rates.delete(lane);
        continue;
      }
      let rate = this.#rates.get(lane);
      if (!rate) {
        rate = { pps: 0, bps: 0, droppedPps: 0, droppedBps: 0 };
        this.#rates.set(lane, rate);
      }
      rate.pps = (now.packets - then.packets) / seconds;
      rate.bps = ((now.bytes - then.bytes) * 8) / seconds;
      rate.droppedPps = Math.max(0, now.dropped - then.dropped) / seconds;
      rate.droppedBps = (Math.max(0, now.droppedBytes - then.droppedBytes) * 8) / seconds;
    }
    for (const lane of this.#rates.keys()) if (!after.has(lane)) this.#rates.delete(lane);
  }
}
