import type { LaneId } from "@flowtriq/protocol/lane";
import { type Classification, classify } from "./classify.ts";
import type { Comeback } from "./comeback.ts";
import { type Course, type SampleContext, Summary } from "./features.ts";
import type { Limit } from "./limits.ts";
import type { Packet } from "./packet.ts";
import type { Counts, LaneRate, Reading } from "./readings.ts";
import { isSessionLane } from "./sequences.ts";
import { classOf, FLAGRANT, isOrdinary, isStrangerLane } from "./thresholds.ts";

/** Samples after which a lane of strangers is judged: enough to tell a flood from one lost session, few enough for milliseconds. */
const SAMPLES_TO_OPEN = 12;
/** Other lanes carry genuine traffic too; they need a picture that the classifier can read. */
const SAMPLES_TO_JUDGE = 32;
const SURE = 0.6;
/** A suspicion without new samples is forgotten. */
const FORGOTTEN_MS = 1_500;
/** Rates above the threshold for this long count as sustained. */
const SUSTAINED_MS = 900;
/** Known sessions are looked at for longer before they are called ordinary: a recording that is played again must begin again. */
const SUSTAINED_SESSIONS_MS = 3_000;
/** An unrecognised pattern must be this far above the threshold before it is called an attack. */
const UNRECOGNISED_FACTOR = 3;
/** One session that nobody issued may be a tunnel older than the agent: up to this rate it is left alone. */
const LONE_SESSION_PPS = 25_000;
/** As many senders, or sessions, as one household has. */
const FEW = 3;
/** So many samples are consecutive packets, since the kernel hands them all up; later ones are fewer than came. */
const CONSECUTIVE = 64;

/** A lane whose bell rang, or whose rate was read above its threshold, while nobody knows yet what it is. */
export class Suspicion {
  readonly lane: LaneId;
  readonly since: number;
  /** The last sample. */
  last: number;
  readonly summary: Summary;
  /** Since when its rate has been above the threshold, if it is. */
  overSince: number | undefined;
  /** The last reading of all counters before it, or the first there was. */
  before: Counts | undefined;

  /** The first reading after it began: what the server sends from then on it sends while this goes on. */
  after: Reading | undefined;

  constructor(at: number, lane: LaneId, context: SampleContext, before: Counts | undefined, overSince?: number) {
    this.lane = lane;
    this.since = at;
    this.last = at;
    this.summary = new Summary(context);
    this.before = before;
    this.overSince = overSince;
  }

  add(at: number, packet: Packet): void {
    this.last = at;
    this.summary.add(packet, at, this.lane);
  }

  isForgotten(at: number): boolean {
    return at - this.last > FORGOTTEN_MS;
  }
}

/** `wait`: nobody can say yet. `ordinary`: it lasts and is none. Otherwise an attack, and what it was taken for. */
export type Judgement = "wait" | "ordinary" | Classification;

export type Seen = {
  at: number;
  rate: LaneRate | undefined;
  limit: Limit;
  /** A reading is the reason to judge, rather than a sample. */
  counted: boolean;
  course: Course | "unripe" | undefined;
  comeback: Comeback | undefined;
};

/** Is what tripped a lane an attack? Asked at each sample, and at each reading of the counters while the lane is over. */
export function judge(suspicion: Suspicion, seen: Seen): Judgement {
  const { lane, overSince } = suspicion;
  if (seen.course === "unripe") return "wait";
  const reached = Math.max(seen.rate?.pps ?? 0, sampledPps(suspicion, seen.limit));
  // The bell of a lane whose usual rate is known rings below its threshold.
  if (!seen.counted && reached < seen.limit.pps) return "wait";
  const longEnough = isSessionLane(lane) ? SUSTAINED_SESSIONS_MS : SUSTAINED_MS;
  const sustained = overSince !== undefined && seen.at - overSince >= longEnough;
  if (isStrangerLane(lane)) return judgeStrangers(suspicion, seen, sustained);
  if (!seen.course && classOf(lane) === "handshake" && mustBeCounted(suspicion, seen, reached)) return "wait";
  const judgement = judgeMixed(suspicion, seen, seen.course, sustained);
  // Samples may show an attack; that there is none is for the counters to say, which know what became of it.
  return judgement === "ordinary" && !seen.counted ? "wait" : judgement;
}

/** Rate of a lane whose bell rings: what overflows it came on top. */
function sampledPps({ summary, since, last }: Suspicion, { bell }: Limit): number {
  const { samples } = summary;
  return bell.pps + (samples < 2 || samples > CONSECUTIVE ? 0 : ((samples - 1) * 1000) / Math.max(1, last - since));
}

/** A crowd that comes back looks like a flood in samples: only what the server makes of it tells, or a rate beyond any crowd's. */
function mustBeCounted({ summary }: Suspicion, { limit, comeback }: Seen, pps: number): boolean {
  if (comeback && comeback.pps >= pps) return true;
  // WireGuard's handshakes prove themselves by their mac1.
  return summary.mac1Checks === 0 && pps < limit.pps * FLAGRANT.factor;
}

function judgeStrangers({ lane, summary }: Suspicion, seen: Seen, sustained: boolean): Judgement {
  const { counted, limit } = seen;
  const unseen = counted && sustained && summary.samples === 0;
  if (!unseen && (summary.samples < SAMPLES_TO_OPEN || (!counted && !isTurn(summary.samples)))) return "wait";
  const verdict = classify(summary);
  // Many senders who proved nothing are a flood at once. A few may be sessions that are older than we are, and a picture
  // that reads as ordinary traffic may be that: both must be loud, or last.
  const sessions = classOf(lane) === "unissued" ? summary.distinctReceiverIndices : summary.distinctSources;
  const few = !unseen && summary.distinctSources <= FEW && sessions <= FEW;
  const loud = (seen.rate?.pps ?? 0) > Math.max(LONE_SESSION_PPS, limit.pps);
  const lasts = sustained && (few ? classOf(lane) !== "unissued" && verdict.vector !== null : true);
  return (few || verdict.vector === null) && !loud && !lasts ? "wait" : verdict;
}

/** Lanes that carry genuine traffic too. */
function judgeMixed(
  { lane, summary }: Suspicion,
  seen: Seen,
  course: Course | undefined,
  sustained: boolean,
): Judgement {
  const { limit, rate } = seen;
  const enough = summary.samples >= SAMPLES_TO_JUDGE;
  if (course) summary.course = course;
  if (!sustained && !(enough && (course || summary.samples % SAMPLES_TO_JUDGE === 0))) return "wait";
  const verdict = classify(summary);
  const sure = verdict.vector !== null && verdict.confidence >= SURE;
  // Few large packets ring no bell: without a sample their bits must speak for themselves. Of handshakes nothing does.
  const unseen = summary.samples === 0 && classOf(lane) !== "handshake";
  const times = Math.max((rate?.pps ?? 0) / limit.pps, unseen ? (rate?.bps ?? 0) / limit.bps : 0);
  const shown = summary.samples >= SAMPLES_TO_OPEN || unseen;
  const loud = sustained && shown && times > UNRECOGNISED_FACTOR && !isOrdinary(lane) && course?.comeback === undefined;
  if (verdict.verdict !== "reconnect_storm" && ((sure && (enough || sustained)) || loud)) return verdict;
  return sustained ? "ordinary" : "wait";
}

/** Judging costs more than sampling, so a suspicion is judged at its 12th, 24th, 48th … sample, and when counters are read. */
const isTurn = (samples: number) => {
  const turns = samples / SAMPLES_TO_OPEN;
  return Number.isInteger(turns) && (turns & (turns - 1)) === 0;
};
