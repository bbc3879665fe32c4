import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { Comeback } from "./comeback.ts";
import type { Course, Summary } from "./features.ts";
import { handshakesOf, portsOfServer } from "./handshakes.ts";
import { endpoint } from "./lanes.ts";
import type { Counts, Readings } from "./readings.ts";
import type { Suspicion } from "./suspicion.ts";
import { classOf, FLAGRANT, isOrdinary } from "./thresholds.ts";
import { fallbackVerdict } from "./verdict.ts";

/** A server needs this long to finish handshakes that it has taken: one round trip for WireGuard, several for the others. */
const PATIENCE_MS = { wireguard: 250, other: 600 };
/**
 * Where nobody counts tunnels, a server that answers nothing may be down, and who asks be its clients. They show themselves by
 * asking again: after 5 s (WireGuard) or sooner, from the same port.
 */
const SILENT_MS = 7_500;
/** A server with clients sends something in this time. */
const LISTEN_MS = 300;
const REPEATS = { least: 3, share: 0.01 };
/** Of the handshakes so many from known peers, and the crowd is ours; unless it is beyond any, and their addresses are forged. */
const KNOWN_SHARE = 0.5;

export type Asked = {
  at: number;
  suspicion: Suspicion;
  thresholdPps: number;
  comeback: Comeback | undefined;
  ports: readonly VpnPort[];
};

/** What the counters say of a suspected lane: undefined while they say nothing, `unripe` while they may yet say otherwise. */
export function courseOf(readings: Readings, asked: Asked): Course | "unripe" | undefined {
  const { at, suspicion, thresholdPps, comeback, ports } = asked;
  const { lane, since } = suspicion;
  suspicion.after ??= readings.latest;
  const pps = readings.rates.get(lane)?.pps;
  const now = readings.of(lane);
  if (!suspicion.before || !now || pps === undefined) return undefined;
  // A lane that nobody had counted before is counted from nothing.
  const packets = now.packets - (suspicion.before.get(lane)?.packets ?? 0);
  const times = pps / thresholdPps;
  const flagrant = packets >= FLAGRANT.packets && times >= FLAGRANT.factor;
  if (classOf(lane) !== "handshake") return flagrant && !isOrdinary(lane) ? { pps, times } : undefined;
  const { finished, known } = answersSince(readings, lane, suspicion.before, ports);
  const wireguard = fallbackVerdict(lane, ports) === "wireguard_handshake_flood";
  const ripe = at - since >= (wireguard ? PATIENCE_MS.wireguard : PATIENCE_MS.other);
  // No server finishes thousands in milliseconds; but that it finishes hardly any of so many is seen at once.
  if (!ripe && !(flagrant && finished < packets * FLAGRANT.unfinished)) return undefined;
  const course: Course = { pps, times, handshakes: { opened: packets, finished } };
  if (comeback && comeback.pps >= pps) return { ...course, comeback: comeback.words };
  if (known !== undefined && known >= packets * KNOWN_SHARE && !flagrant) {
    const words = `${Math.round(known)} of ${packets} handshakes come from peers that the server has answered before`;
    return { ...course, comeback: words };
  }
  // Where tunnels are counted, they would be missed if the server were down.
  if (flagrant || readings.tunnels !== null) return course;
  const silence = silenceOf(readings, suspicion, ports);
  if (silence === "broken") return course;
  if (silence === "unknown" || at - since < SILENT_MS) return "unripe";
  const repeats = repeatsOf(suspicion.summary);
  if (repeats < Math.max(REPEATS.least, suspicion.summary.kept.length * REPEATS.share)) return course;
  return {
    ...course,
    comeback: `the server sends nothing, and its clients ask again: ${repeats} did among the samples`,
  };
}

/** Does the server send anything while it is asked? What it sent before the suspicion says nothing. */
function silenceOf(readings: Readings, suspicion: Suspicion, ports: readonly VpnPort[]): "unknown" | "kept" | "broken" {
  if (!suspicion.after || !readings.latest || readings.latest.at - suspicion.after.at < LISTEN_MS) return "unknown";
  const { finished, sent } = answersSince(readings, suspicion.lane, suspicion.after.counts, ports);
  return (sent ?? finished) === 0 ? "kept" : "broken";
}

/** What a server answered, and how many known peers asked it, since an earlier reading. */
function answersSince(readings: Readings, lane: LaneId, before: Counts, ports: readonly VpnPort[]) {
  const server = portsOfServer(lane, ports);
  const then = handshakesOf(before, lane, server);
  const now = handshakesOf(readings.latest?.counts ?? before, lane, server);
  const since = (field: "finished" | "sent" | "known") =>
    now?.[field] === undefined ? undefined : Math.max(0, now[field] - (then?.[field] ?? 0));
  return { finished: since("finished") ?? 0, sent: since("sent"), known: since("known") };
}

/** Samples whose sender had asked before, from the same port. */
function repeatsOf({ kept }: Summary): number {
  const asked = new Set<number | string>();
  let repeats = 0;
  for (const { source, sourcePort } of kept) {
    const sender = endpoint(source, sourcePort);
    if (asked.has(sender)) repeats++;
    asked.add(sender);
  }
  return repeats;
}

/**
 * Whether the handshakes of an attack that got through to the server could be finished, from its beginning on; undefined for
 * an attack on other lanes.
 */
export function courseSince(
  readings: Readings,
  lanes: readonly LaneId[],
  started: ReadonlyMap<LaneId, Counts>,
  options: { thresholdPps: (lane: LaneId) => number; ports: readonly VpnPort[] },
): Course | undefined {
  const lane = lanes.find((candidate) => classOf(candidate) === "handshake");
  const before = lane && started.get(lane);
  if (!before) return undefined;
  const [now, start, rate] = [readings.of(lane), before.get(lane), readings.rates.get(lane)];
  if (!now || !start || !rate) return undefined;
  const opened = now.packets - start.packets - (now.dropped - start.dropped);
  const { finished } = answersSince(readings, lane, before, options.ports);
  return { pps: rate.pps, times: rate.pps / options.thresholdPps(lane), handshakes: { opened, finished } };
}
