import type { Profile } from "@flowtriq/protocol/event";
import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import { classify } from "./classify.ts";
import { courseSince } from "./course.ts";
import { type Summary, toProfile } from "./features.ts";
import type { LaneCount, Readings } from "./readings.ts";
import { fallbackVerdict } from "./verdict.ts";

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
};
export type Change = { kind: "started" | "classified" | "ended"; at: number; attack: Attack; profile: Profile };

/** What a live attack is measured by. */
export interface Scene {
  readings: Readings;
  ports: readonly VpnPort[];
  quietSeconds: number;
  threshold(lane: LaneId): { pps: number; bps: number };
}

const SAMPLES_TO_CLASSIFY = 48;
/** A classification is announced at the latest this long after the start, with however many samples there are. */
const CLASSIFY_WITHIN_MS = 400;
const RECLASSIFY_MS = 2_000;
/** An attack is followed closely for this long; then its course is known. */
const BUSY_MS = 5_000;
/** A peak is a rate over at least this long. */
const PEAK_MS = 90;

/** One attack while it lasts: how much of it there is, what it is, and when it is over. */
export class LiveAttack {
  readonly attack: Attack;
  readonly summary: Summary;
  #lastOverAt: number;
  #classifiedAt: number;
  /** Counters of the lanes before the attack. */
  readonly #started = new Map<LaneId, LaneCount>();
  /** The first reading after the trip, from which the rate and so the first packet are told. */
  #firstReading: { at: number; packets: number } | undefined;
  #dated = false;

  constructor(attack: Attack, summary: Summary, at: number, firstReading?: { at: number; packets: number }) {
    this.attack = attack;
    this.summary = summary;
    this.#lastOverAt = at;
    this.#classifiedAt = at;
    this.#firstReading = firstReading;
  }

  isBusy(at: number): boolean {
    return at - this.attack.startedAt < BUSY_MS;
  }

  change(kind: Change["kind"], at: number): Change {
    return { kind, at, attack: { ...this.attack }, profile: toProfile(this.summary) };
  }

  /** The counters of one of its lanes as they stood before it. */
  countFrom(lane: LaneId, before: LaneCount | undefined): void {
    if (before) this.#started.set(lane, before);
  }

  /** Another lane of the same target is attacked too. */
  join(at: number, lane: LaneId, before: LaneCount | undefined, scene: Scene): Change[] {
    this.attack.lanes = [...this.attack.lanes, lane];
    this.#lastOverAt = at;
    this.countFrom(lane, before);
    return this.#reclassify(at, scene, true);
  }

  /** Takes in a new reading: what has changed, if anything has. The last change is its end. */
  measure(at: number, scene: Scene): Change[] {
    const { attack } = this;
    const over = this.#measureLanes(scene);
    this.summary.course =
      courseSince(scene.readings, attack.lanes, this.#started, (lane) => scene.threshold(lane).pps) ??
      this.summary.course;
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
      this.#lastOverAt = at;
      attack.lastSeenAt = at;
    }
    if (at - this.#lastOverAt >= scene.quietSeconds * 1000) return [this.change("ended", at)];
    return this.#reclassify(at, scene, false);
  }

  /** Sums up its lanes; true while one of them is above half its threshold. */
  #measureLanes({ readings, threshold }: Scene): boolean {
    const { attack } = this;
    let pps = 0;
    let bps = 0;
    let passedPps = 0;
    let over = false;
    attack.packets = 0;
    attack.droppedPackets = 0;
    for (const lane of attack.lanes) {
      const rate = readings.rates.get(lane);
      const start = this.#started.get(lane) ?? readings.before?.counts.get(lane);
      const now = readings.of(lane);
      if (start && !this.#started.has(lane)) this.#started.set(lane, start);
      if (start && now) {
        attack.packets += Math.max(0, now.packets - start.packets);
        attack.droppedPackets += Math.max(0, now.dropped - start.dropped);
      }
      if (!rate) continue;
      pps += rate.pps;
      bps += rate.bps;
      passedPps += Math.max(0, rate.pps - rate.droppedPps);
      const limit = threshold(lane);
      if (rate.pps > limit.pps / 2 || rate.bps > limit.bps / 2) over = true;
    }
    Object.assign(attack, { pps: Math.round(pps), bps: Math.round(bps), passedPps: Math.round(passedPps) });
    return over;
  }

  #reclassify(at: number, { ports }: Scene, force: boolean): Change[] {
    const { attack, summary } = this;
    const first =
      !attack.classified && (summary.samples >= SAMPLES_TO_CLASSIFY || at - attack.startedAt >= CLASSIFY_WITHIN_MS);
    const again = attack.classified && at - this.#classifiedAt >= RECLASSIFY_MS;
    const measured = this.#dated || at - attack.startedAt >= CLASSIFY_WITHIN_MS;
    if (!measured || (!first && !again && !force) || summary.samples === 0) return [];
    this.#classifiedAt = at;
    const verdict = classify(summary);
    const next = verdict.verdict ?? fallbackVerdict(attack.lanes[0]!, ports);
    const changed = next !== attack.verdict;
    // A later picture replaces an earlier one only when it is at least as sure.
    if (!first && !force && !(changed && verdict.confidence >= attack.confidence)) return [];
    attack.classified = true;
    attack.verdict = next;
    attack.confidence = verdict.verdict === null ? 0.5 : verdict.confidence;
    attack.evidence = verdict.evidence;
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
    const start = this.#started.get(lane)?.packets;
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
