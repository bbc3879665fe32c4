import type { LaneId } from "@flowtriq/protocol/lane";
import { type Classification, classify } from "./classify.ts";
import { type Course, type SampleContext, Summary } from "./features.ts";
import type { Packet } from "./packet.ts";
import type { LaneCount, LaneRate } from "./readings.ts";
import { classOf, isOrdinary, isStrangerLane } from "./thresholds.ts";

/** Samples after which a lane of strangers is judged: enough to tell a flood from one lost session, few enough for milliseconds. */
const SAMPLES_TO_OPEN = 12;
/** Other lanes carry genuine traffic too; they need a picture that the classifier can read. */
const SAMPLES_TO_JUDGE = 32;
const SURE = 0.6;
/** A suspicion without new samples is forgotten. */
const FORGOTTEN_MS = 1_500;
/** Rates above the threshold for this long count as sustained. */
const SUSTAINED_MS = 900;
/** An unrecognised pattern must be this far above the threshold before it is called an attack. */
const UNRECOGNISED_FACTOR = 3;
/** One session that nobody issued may be a tunnel older than the agent: up to this rate it is left alone. */
const LONE_SESSION_PPS = 25_000;
/** As many senders, or sessions, as one household has. */
const FEW = 3;

/** A lane whose bell rang, or whose rate was read above its threshold, while nobody knows yet what it is. */
export class Suspicion {
  readonly lane: LaneId;
  readonly since: number;
  /** The last sample. */
  last: number;
  readonly summary: Summary;
  /** Since when its rate has been above the threshold, if it is. */
  overSince: number | undefined;
  /** The lane's counters at the last reading before it. */
  readonly before: LaneCount | undefined;

  constructor(at: number, lane: LaneId, context: SampleContext, before: LaneCount | undefined, overSince?: number) {
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

/** Is what tripped a lane an attack? Asked at each sample, and at each reading of the counters while the lane is over. */
export function judge(
  suspicion: Suspicion,
  seen: { at: number; rate: LaneRate | undefined; thresholdPps: number; counted: boolean; course: Course | undefined },
): Judgement {
  const { at, rate, counted } = seen;
  const sustained = suspicion.overSince !== undefined && at - suspicion.overSince >= SUSTAINED_MS;
  const pps = rate?.pps ?? 0;
  return isStrangerLane(suspicion.lane)
    ? judgeStrangers(suspicion, { pps, thresholdPps: seen.thresholdPps, counted, sustained })
    : judgeMixed(suspicion, { pps, thresholdPps: seen.thresholdPps, course: seen.course, sustained });
}

function judgeStrangers(
  { lane, summary }: Suspicion,
  seen: { pps: number; thresholdPps: number; counted: boolean; sustained: boolean },
): Judgement {
  const { pps, thresholdPps, counted, sustained } = seen;
  const unseen = counted && sustained && summary.samples === 0;
  if (!unseen && (summary.samples < SAMPLES_TO_OPEN || (!counted && !isTurn(summary.samples)))) return "wait";
  const verdict = classify(summary);
  // Many senders who proved nothing are a flood at once. A few may be sessions that are older than we are, and a picture
  // that reads as ordinary traffic may be that: both must be loud, or last.
  const sessions = classOf(lane) === "unissued" ? summary.distinctReceiverIndices : summary.distinctSources;
  const few = !unseen && summary.distinctSources <= FEW && sessions <= FEW;
  const loud = pps > Math.max(LONE_SESSION_PPS, thresholdPps);
  const lasts = sustained && (few ? classOf(lane) !== "unissued" && verdict.vector !== null : true);
  return (few || verdict.vector === null) && !loud && !lasts ? "wait" : verdict;
}

/** Lanes that carry genuine traffic too. */
function judgeMixed(
  { lane, summary }: Suspicion,
  seen: { pps: number; thresholdPps: number; course: Course | undefined; sustained: boolean },
): Judgement {
  const { pps, thresholdPps, course, sustained } = seen;
  const enough = summary.samples >= SAMPLES_TO_JUDGE;
  if (course) summary.course = course;
  if (!sustained && !(enough && (course || summary.samples % SAMPLES_TO_JUDGE === 0))) return "wait";
  const verdict = classify(summary);
  const quick = enough && verdict.vector !== null && verdict.confidence >= SURE;
  const loud = sustained && pps > thresholdPps * UNRECOGNISED_FACTOR && summary.samples >= SAMPLES_TO_OPEN;
  const known = sustained && verdict.vector !== null && verdict.confidence >= SURE;
  const attack = verdict.verdict !== "reconnect_storm" && (quick || known || (loud && !isOrdinary(lane)));
  if (attack) return verdict;
  return sustained ? "ordinary" : "wait";
}

/** Judging costs more than sampling, so a suspicion is judged at its 12th, 24th, 48th … sample, and when counters are read. */
const isTurn = (samples: number) => {
  const turns = samples / SAMPLES_TO_OPEN;
  return Number.isInteger(turns) && (turns & (turns - 1)) === 0;
};
