import type { Counts } from "@flowtriq/detection/detect";
import type { Observation } from "@flowtriq/protocol/observation";
import { iso } from "./sink.ts";

const SECOND_MS = 1000;

/** Turns readings at any rhythm into one observation for each second of the wall clock, stamped with that second's end. */
export class ObservationClock {
  #from: { at: number; counts: Counts } | undefined;

  second(now: number, counts: Counts, tunnels: number | null): Observation | undefined {
    const from = this.#from;
    // The first reading in a new second ends the one before.
    if (from && Math.floor(now / SECOND_MS) === Math.floor(from.at / SECOND_MS)) return undefined;
    this.#from = { at: now, counts };
    // A clock that was set back leaves a second without a length.
    if (!from || now <= from.at) return undefined;
    const end = now - (now % SECOND_MS);
    return observe(from.counts, counts, (now - from.at) / SECOND_MS, end, tunnels);
  }
}

function observe(before: Counts, after: Counts, seconds: number, at: number, tunnels: number | null): Observation {
  const seen: Observation = {
    at: iso(at),
    pps: 0,
    bps: 0,
    droppedPps: 0,
    passedPps: 0,
    passedBps: 0,
    tunnels,
    lanes: [],
  };
  for (const [lane, now] of after) {
    const then = before.get(lane);
    if (!then || now.packets <= then.packets) continue;
    const pps = (now.packets - then.packets) / seconds;
    const bps = ((now.bytes - then.bytes) * 8) / seconds;
    const droppedPps = Math.max(0, now.dropped - then.dropped) / seconds;
    const droppedBps = (Math.max(0, now.droppedBytes - then.droppedBytes) * 8) / seconds;
    seen.pps += pps;
    seen.bps += bps;
    seen.droppedPps += droppedPps;
    seen.passedBps += Math.max(0, bps - droppedBps);
    seen.lanes.push({ lane, pps: round(pps), bps: Math.round(bps), droppedPps: round(droppedPps) });
  }
  seen.passedPps = round(Math.max(0, seen.pps - seen.droppedPps));
  seen.pps = round(seen.pps);
  seen.bps = Math.round(seen.bps);
  seen.droppedPps = round(seen.droppedPps);
  seen.passedBps = Math.round(seen.passedBps);
  return seen;
}

const round = (value: number) => Math.round(value * 10) / 10;
