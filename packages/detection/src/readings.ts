import type { LaneId } from "@flowtriq/protocol/lane";

/**
 * Cumulative counters of one lane, as the kernel holds them. `dropped` is part of `packets`; `finished`, of a handshake lane,
 * are the server's own packets that only a finished handshake gets.
 */
export type LaneCount = { packets: number; bytes: number; dropped: number; droppedBytes: number; finished: number };
export type Counts = ReadonlyMap<LaneId, LaneCount>;
/** Rates of one lane between two readings. */
export type LaneRate = { pps: number; bps: number; droppedPps: number; droppedBps: number };
export type Reading = { at: number; counts: Counts };

/** The last two readings of all counters, and the rates between them. */
export class Readings {
  before: Reading | undefined;
  latest: Reading | undefined;
  rates: ReadonlyMap<LaneId, LaneRate> = new Map();
  /** Live tunnels; null: nobody can tell. */
  tunnels: number | null = null;

  /** False for the first reading, and for one that is not later than the last: there is no rate then. */
  take(at: number, counts: Counts, tunnels: number | null): boolean {
    this.before = this.latest;
    this.latest = { at, counts };
    this.tunnels = tunnels;
    if (!this.before || at <= this.before.at) return false;
    this.rates = ratesBetween(this.before.counts, counts, (at - this.before.at) / 1000);
    return true;
  }

  /** What a lane's counters stand at. */
  of(lane: LaneId): LaneCount | undefined {
    return this.latest?.counts.get(lane);
  }
}

function ratesBetween(before: Counts, after: Counts, seconds: number): Map<LaneId, LaneRate> {
  const rates = new Map<LaneId, LaneRate>();
  for (const [lane, now] of after) {
    const then = before.get(lane);
    // A counter that ran backwards belongs to a table that was loaded anew.
    if (!then || now.packets < then.packets) continue;
    rates.set(lane, {
      pps: (now.packets - then.packets) / seconds,
      bps: ((now.bytes - then.bytes) * 8) / seconds,
      droppedPps: Math.max(0, now.dropped - then.dropped) / seconds,
      droppedBps: (Math.max(0, now.droppedBytes - then.droppedBytes) * 8) / seconds,
    });
  }
  return rates;
}
