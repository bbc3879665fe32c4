import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { Course } from "./features.ts";
import type { LaneCount, Readings } from "./readings.ts";
import { classOf, isOrdinary } from "./thresholds.ts";
import { fallbackVerdict } from "./verdict.ts";

/** So far above its threshold, and so many packets, nobody waits for a lane's traffic to last. */
const FLAGRANT = { factor: 10, packets: 1_000, unfinished: 0.02 };
/** A server needs this long to finish handshakes that it has taken: one round trip for WireGuard, several for the others. */
const PATIENCE_MS = { wireguard: 250, other: 1_000 };

export type CourseOptions = {
  at: number;
  lane: LaneId;
  /** When it was first suspected, and the lane's counters at the last reading before that. */
  since: number;
  before: LaneCount | undefined;
  thresholdPps: number;
  ports: readonly VpnPort[];
};

/** What the counters say of a suspected lane; undefined while they say too little. */
export function courseOf(readings: Readings, options: CourseOptions): Course | undefined {
  const { at, lane, since, before, thresholdPps, ports } = options;
  const now = readings.of(lane);
  const pps = readings.rates.get(lane)?.pps;
  if (!before || !now || pps === undefined) return undefined;
  const packets = now.packets - before.packets;
  const times = pps / thresholdPps;
  const flagrant = packets >= FLAGRANT.packets && times >= FLAGRANT.factor;
  if (classOf(lane) !== "handshake") return flagrant && !isOrdinary(lane) ? { pps, times } : undefined;
  const finished = now.finished - before.finished;
  const wireguard = fallbackVerdict(lane, ports) === "wireguard_handshake_flood";
  const ripe = at - since >= (wireguard ? PATIENCE_MS.wireguard : PATIENCE_MS.other);
  // No server finishes thousands in milliseconds; but that it finishes hardly any of so many is seen at once.
  if (!ripe && !(flagrant && finished < packets * FLAGRANT.unfinished)) return undefined;
  return { pps, times, handshakes: { opened: packets, finished } };
}

/**
 * Whether the handshakes of an attack that got through to the server could be finished, from its beginning on; undefined for
 * an attack on other lanes.
 */
export function courseSince(
  readings: Readings,
  lanes: readonly LaneId[],
  started: ReadonlyMap<LaneId, LaneCount>,
  thresholdPps: (lane: LaneId) => number,
): Course | undefined {
  const lane = lanes.find((candidate) => classOf(candidate) === "handshake");
  if (!lane) return undefined;
  const [now, start, rate] = [readings.of(lane), started.get(lane), readings.rates.get(lane)];
  if (!now || !start || !rate) return undefined;
  const opened = now.packets - start.packets - (now.dropped - start.dropped);
  const times = rate.pps / thresholdPps(lane);
  return { pps: rate.pps, times, handshakes: { opened, finished: now.finished - start.finished } };
}
