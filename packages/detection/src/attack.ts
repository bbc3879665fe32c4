import type { Profile } from "@flowtriq/protocol/event";
import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import { classify } from "./classify.ts";
import { courseSince } from "./course.ts";
import { hasFinished } from "./evidence.ts";
import { type Summary, toProfile } from "./features.ts";
import type { Limits } from "./limits.ts";
import type { Counts, LaneRate, Readings } from "./readings.ts";
import type { Starvations } from "./starvation.ts";
import { fallbackVerdict } from "./verdict.ts";

/** What is too much of an attack: it ends by the same measure. `unfinished`: handshakes that come to nothing. */
export type Metric = "pps" | "bps" | "unfinished";

/** An attack as it stands. Times are epoch milliseconds. */
export type Attack = {
  id: string;
  /** `udp:51820`, or `host` for what is not aimed at a VPN port. */
  target: string;
  lanes: LaneId[];
  verdict: TrafficVerdict;
  confidence: number;
  evidence: string[];
  firstPacketAt: number;
  trippedAt: number;
  startedAt: number;
  lastSeenAt: number;
  thresholdPps: number;
  pps: number;
  bps: number;
  passedPps: number;
  peakPps: number;
  peakBps: number;
  packets: number;
  droppedPackets: number;
  tunnelsBefore: number | null;
  tunnelsLowest: number | null;
  tunnels: number | null;
  classified: boolean;
  /** By lane; absent in what an older agent left behind. */
  metrics?: Partial<Record<LaneId, Metric>>;
};
export type Change = { kind: "started" | "classified" | "ended"; at: number; attack: Attack; profile: Profile };

/** What a live attack is measured by. */
export interface Scene {
  readings: Readings;
  limits: Limits;
  starvations: Starvations;
  ports: readonly VpnPort[];
  quietSeconds: number;
}

const SAMPLES_TO_CLASSIFY = 48;
/** A classification is announced at the latest this long after the start, with however many samples there are. */
const CLASSIFY_WITHIN_MS = 400;
const RECLASSIFY_MS = 2_000;
/** An attack is followed closely for this long; then its course is known. */
const BUSY_MS = 5_000;
/** A peak is a rate over at least this long. */
const PEAK_MS = 90;

const NOTHING = { packets: 0, dropped: 0 };

/** An attack that paused may pause this much longer the next time. */
const PAUSE_GROWTH = 1.5;

/** One attack while it lasts: how much of it there is, what it is, and when it is over. */
export class LiveAttack {
  readonly attack: Attack;
  readonly summary: Summary;
  /** Its own start, which moves when the clock is set. */
  #openedAt: number;
  #lastOverAt: number;
  #classifiedAt: number;
  /** When a lane was added last, until that has been looked at with its counters. */
  #joinedAt: number | undefined;
  /** For each of its lanes, all counters as they stood before it was attacked. */
  readonly #started = new Map<LaneId, Counts>();
  /** The longest time for which it has paused. */
  #pausedMs = 0;
  /** Whether its samples have been told of. */
  #profiled = false;
  /** The first reading after the trip, from which the rate and so the first packet are told. */
  #firstReading: { at: number; packets: number } | undefined;
  #dated = false;

  constructor(attack: Attack, summary: Summary, at: number, firstReading?: { at: number; packets: number }) {
    this.attack = attack;
    this.summary = summary;
    this.#openedAt = at;
    this.#lastOverAt = at;
    this.#classifiedAt = at;
    this.#firstReading = firstReading;
  }

  isBusy(at: number): boolean {
    return at - this.#openedAt < BUSY_MS;
  }

  /** The clock was set by so much, or the host slept so long: neither makes an attack older. */
  leap(milliseconds: number): void {
    this.#openedAt += milliseconds;
    this.#lastOverAt += milliseconds;
    this.#classifiedAt += milliseconds;
    if (this.#joinedAt !== undefined) this.#joinedAt += milliseconds;
    this.#dated = true;
  }

  change(kind: Change["kind"], at: number): Change {
    return { kind, at, attack: { ...this.attack }, profile: toProfile(this.summary) };
  }

  /** Counts one of its lanes from these counters on. What came to nothing slowly cannot be dated by its rate. */
  countFrom(lane: LaneId, before: Counts | undefined): void {
    if (before) this.#started.set(lane, before);
    if (this.attack.metrics?.[lane] === "unfinished") this.#dated = true;
  }

  /** Another lane of the same target is attacked too. */
  join(
    at: number,
    { lane, metric, before }: { lane: LaneId; metric: Metric; before: Counts | undefined },
    scene: Scene,
  ): Change[] {
    this.attack.lanes = [...this.attack.lanes, lane];
    this.attack.metrics = { ...this.attack.metrics, [lane]: metric };
    this.#lastOverAt = at;
    this.#joinedAt = at;
    this.countFrom(lane, before);
    return this.#reclassify(at, scene, true);
  }

  /** Takes in a new reading: what has changed, if anything has. The last change is its end. */
  measure(at: number, scene: Scene): Change[] {
    const { attack } = this;
    const over = this.#measureLanes(at, scene);
    this.summary.course =
      courseSince(scene.readings, attack.lanes, this.#started, {
        thresholdPps: (lane) => scene.limits.of(lane).pps,
        ports: scene.ports,
      }) ?? this.summary.course;
    this.summary.counted = this.#countedBy(scene.readings);
    this.#dateFirstPacket(at, scene.readings);
    // Over a few milliseconds a rate is mostly noise.
    if (at - scene.readings.before!.at >= PEAK_MS) {
      attack.peakPps = Math.max(attack.peakPps, attack.pps);
      attack.peakBps = Math.max(attack.peakBps, attack.bps);
    }
    const { tunnels } = scene.readings;
    attack.tunnels = tunnels;
    if (tunnels !== null) attack.tunnelsLowest = Math.min(attack.tunnelsLowest ?? tunnels, tunnels);
    if (over) {
      this.#pausedMs = Math.max(this.#pausedMs, at - this.#lastOverAt);
      this.#lastOverAt = at;
      attack.lastSeenAt = at;
    }
    if (at - this.#lastOverAt >= this.#quietMs(scene)) return [this.change("ended", at)];
    const joined = this.#joinedAt !== undefined && at - this.#joinedAt >= CLASSIFY_WITHIN_MS;
    if (joined) this.#joinedAt = undefined;
    return this.#reclassify(at, scene, joined);
  }

  /** What each lane that samples came from has counted since it began. */
  #countedBy(readings: Readings): Map<LaneId, number> {
    const before = this.#started.get(this.attack.lanes[0]!);
    const since = (lane: LaneId) => (readings.of(lane)?.packets ?? 0) - (before?.get(lane)?.packets ?? 0);
    return new Map([...this.summary.lanes.keys()].map((lane) => [lane, since(lane)]));
  }

  /** What comes in pulses may pause a little longer the next time. */
  #quietMs({ quietSeconds }: Scene): number {
    return Math.max(quietSeconds * 1000, this.#pausedMs * PAUSE_GROWTH);
  }

  /** Sums up its lanes; true while one of them is above half of what opened it. */
  #measureLanes(at: number, scene: Scene): boolean {
    const { readings } = scene;
    const { attack } = this;
    let pps = 0;
    let bps = 0;
    let passedPps = 0;
    let over = false;
    attack.packets = 0;
    attack.droppedPackets = 0;
    for (const lane of attack.lanes) {
      const rate = readings.rates.get(lane);
      if (!this.#started.has(lane)) this.countFrom(lane, readings.before?.counts);
      const counts = this.#started.get(lane);
      // A lane that was not there before begins at nothing.
      const start = counts && (counts.get(lane) ?? NOTHING);
      const now = readings.of(lane);
      if (now) this.summary.sequences.note(lane, at, now.packets);
      if (start && now) {
        attack.packets += Math.max(0, now.packets - start.packets);
        attack.droppedPackets += Math.max(0, now.dropped - start.dropped);
      }
      if (!rate) continue;
      pps += rate.pps;
      bps += rate.bps;
      passedPps += Math.max(0, rate.pps - rate.droppedPps);
      if (isOver(scene, lane, rate, attack.metrics?.[lane])) over = true;
    }
    Object.assign(attack, { pps: Math.round(pps), bps: Math.round(bps), passedPps: Math.round(passedPps) });
    return over;
  }

  #reclassify(at: number, scene: Scene, force: boolean): Change[] {
    const { attack, summary } = this;
    if (summary.samples === 0 || this.#isHeld(scene)) return this.#tellWhatWasCounted(at);
    const first =
      !attack.classified && (summary.samples >= SAMPLES_TO_CLASSIFY || at - this.#openedAt >= CLASSIFY_WITHIN_MS);
    const again = attack.classified && at - this.#classifiedAt >= RECLASSIFY_MS;
    const measured = this.#dated || at - this.#openedAt >= CLASSIFY_WITHIN_MS;
    if (!measured || (!first && !again && !force)) return [];
    this.#classifiedAt = at;
    const verdict = classify(summary);
    // Rules that hold handshakes back make a flood look like a crowd; only handshakes that were finished show one.
    const doubted = verdict.verdict === "reconnect_storm" && !hasFinished(summary);
    if (doubted && !first) return [];
    const next = doubted ? attack.verdict : (verdict.verdict ?? fallbackVerdict(attack.lanes[0]!, scene.ports));
    const changed = next !== attack.verdict;
    // A later picture replaces an earlier one only when it is at least as sure.
    if (!first && !force && !(changed && verdict.confidence >= attack.confidence)) return [];
    attack.classified = true;
    if (doubted) return [this.change("classified", at)];
    attack.verdict = next;
    attack.confidence = verdict.verdict === null ? 0.5 : verdict.confidence;
    attack.evidence = verdict.evidence;
    return [this.change("classified", at)];
  }

  /** Starvation is told by counters: as long as it is no flood, samples of handshakes say nothing against it. */
  #isHeld({ readings, limits }: Scene): boolean {
    const [lane] = this.attack.lanes;
    if (this.attack.lanes.length > 1 || !lane || this.attack.metrics?.[lane] !== "unfinished") return false;
    return (readings.rates.get(lane)?.pps ?? 0) <= limits.of(lane).pps;
  }

  /** An attack that nobody has seen a packet of is told with what opened it; its samples, if they come, once. */
  #tellWhatWasCounted(at: number): Change[] {
    const { attack, summary } = this;
    const profile = !this.#profiled && summary.samples >= SAMPLES_TO_CLASSIFY;
    if (attack.classified ? !profile : at - this.#openedAt < CLASSIFY_WITHIN_MS) return [];
    attack.classified = true;
    this.#profiled ||= profile;
    return [this.change("classified", at)];
  }

  /**
   * Reckons back from two readings after the trip: what had come by the first of them, at the rate between them, began so
   * long before it. The kernel stamps nothing in peace, and a few milliseconds are all the error there can be.
   */
  #dateFirstPacket(at: number, readings: Readings): void {
    const { attack } = this;
    const lane = attack.lanes[0]!;
    const now = readings.of(lane)?.packets;
    const start = this.#started.get(lane)?.get(lane)?.packets;
    if (this.#dated || now === undefined || start === undefined) return;
    const first = this.#firstReading;
    if (!first) {
      this.#firstReading = { at, packets: now };
      return;
    }
    const pps = ((now - first.packets) / (at - first.at)) * 1000;
    if (!(pps > 0)) return;
    this.#dated = true;
    const began = first.at - ((first.packets - start) / pps) * 1000;
    attack.firstPacketAt = Math.min(attack.trippedAt, Math.max(began, attack.trippedAt - 1_000));
  }
}

/** Half of what opened it; of an attack that an older agent left nobody knows what that was. */
function isOver({ limits, starvations }: Scene, lane: LaneId, rate: LaneRate, metric: Metric | undefined): boolean {
  const limit = limits.of(lane);
  if (metric === "unfinished") return starvations.isOver(lane);
  return (metric !== "bps" && rate.pps > limit.pps / 2) || (metric !== "pps" && rate.bps > limit.bps / 2);
}
