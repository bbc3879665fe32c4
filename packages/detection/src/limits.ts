import type { LaneId } from "@flowtriq/protocol/lane";
import type { Policy } from "@flowtriq/protocol/policy";
import type { Baselines } from "./baseline.ts";
import { type Floor, floorOf } from "./thresholds.ts";

/** What a lane is held to. */
export type Limit = {
  /** Rates above which the lane is looked at. */
  pps: number;
  bps: number;
  /** Usual packets a second; 0 of a lane that has shown nothing yet. */
  usualPps: number;
  /** When the kernel should wake us: `burst` packets above `pps`. */
  bell: { pps: number; burst: number };
};

/** So that traffic at exactly `sensitivity` times what is usual is over, measured over a fraction of a second. */
const MARGIN = 0.9;
/** A lane whose usual rate is known rings below its threshold, and soon: at the threshold itself nothing would overflow. */
const BELL = { share: 0.75, seconds: 0.1, leastTimesUsual: 1.5, mostBurst: 10_000 };
const FLOOR_BELL_SECONDS = 0.005;
/** The largest packets that usually arrive, in bits: a flood of them can be over in bits and below in packets. */
const LARGE_PACKET_BITS = 12_000;
/** What rang the bell and was genuine may grow by this before it is looked at again, and only for so long. */
const SILENCE = { growth: 1.5, ms: 60_000, deafMs: 15_000 };

/** A limit, when it was last right, and the usual rates that it was made from. */
type Kept = Limit & { at: number; fromPps: number; fromBps: number; learned: boolean };
const NOTHING_KNOWN = { fromPps: Number.NaN, fromBps: Number.NaN, learned: false };

/** Thresholds of all lanes at the time of the last reading: from policy, floors and what is usual. */
export class Limits {
  readonly #baselines: Baselines;
  readonly #limits = new Map<LaneId, Kept>();
  readonly #silenced = new Map<LaneId, { pps: number; bps: number; since: number }>();
  #policy: Policy;
  /** The time of the last reading; before there is one, when something was learned last. */
  at: number;

  constructor(policy: Policy, baselines: Baselines) {
    this.#policy = policy;
    this.#baselines = baselines;
    this.at = baselines.learnedAt;
  }

  /** Valid until the next reading: the same object is filled anew, because this happens many times a second. */
  of(lane: LaneId): Limit {
    let limit = this.#limits.get(lane);
    if (!limit) {
      limit = { pps: 0, bps: 0, usualPps: 0, bell: { pps: 0, burst: 0 }, at: Number.NaN, ...NOTHING_KNOWN };
      this.#limits.set(lane, limit);
    }
    if (limit.at !== this.at && this.#isStale(lane, limit)) this.#fill(lane, limit);
    limit.at = this.at;
    return limit;
  }

  /** Baselines move once in ten seconds; between that, and while nothing is silenced, a limit stays what it is. */
  #isStale(lane: LaneId, limit: Kept): boolean {
    const usual = this.#baselines.usual(this.at, lane);
    const learned = this.#baselines.isLearned(lane);
    if (usual.pps === limit.fromPps && usual.bps === limit.fromBps && learned === limit.learned)
      return this.#silenced.has(lane);
    limit.fromPps = usual.pps;
    limit.fromBps = usual.bps;
    limit.learned = learned;
    return true;
  }

  set policy(policy: Policy) {
    this.#policy = policy;
    this.#limits.clear();
  }
  get policy(): Policy {
    return this.#policy;
  }

  /** What rang this lane's bell is genuine at this rate: for a while it takes more. */
  silence(at: number, lane: LaneId, { pps, bps }: { pps: number; bps: number }): void {
    this.#silenced.set(lane, { pps: pps * SILENCE.growth, bps: bps * SILENCE.growth, since: at });
    this.#limits.delete(lane);
  }

  /** True until the kernel can have heard that this lane's bell was silenced. */
  isDeaf(at: number, lane: LaneId): boolean {
    const since = this.#silenced.get(lane)?.since;
    return since !== undefined && at >= since && at - since < SILENCE.deafMs;
  }

  #fill(lane: LaneId, limit: Limit): void {
    const policy = this.#policy;
    const whole = floorOf(lane);
    const usual = this.#baselines.usual(this.at, lane);
    const floor = this.#baselines.isLearned(lane) ? whole.learned : whole;
    const factor = policy.sensitivity * MARGIN;
    const manual = policy.thresholdsPps[lane];
    const learned = Math.max(floor.pps, usual.pps * factor, policy.floorsPps?.[lane] ?? 0);
    const silence = this.#silenceOf(lane);
    const pps = manual ?? Math.min(learned, policy.ceilingsPps?.[lane] ?? Number.POSITIVE_INFINITY);
    limit.pps = Math.round(Math.max(pps, silence?.pps ?? 0));
    limit.bps = Math.round(Math.max(floor.bps, usual.bps * factor, silence?.bps ?? 0));
    limit.usualPps = usual.pps;
    this.#fillBell(limit, whole, manual === undefined && silence === undefined && usual.pps * factor >= floor.pps);
  }

  #fillBell(limit: Limit, floor: Floor, early: boolean): void {
    const { pps, bps, usualPps, bell } = limit;
    const large = Math.max(usualPps * BELL.leastTimesUsual, bps / LARGE_PACKET_BITS);
    bell.pps = early ? Math.round(Math.min(pps * BELL.share, large)) : pps;
    const seconds = early ? BELL.seconds : FLOOR_BELL_SECONDS;
    bell.burst = Math.max(floor.burst, Math.min(BELL.mostBurst, Math.round(bell.pps * seconds)));
  }

  #silenceOf(lane: LaneId): { pps: number; bps: number } | undefined {
    const silence = this.#silenced.get(lane);
    if (!silence) return undefined;
    // A clock that was set back ends it too.
    if (this.at < silence.since || this.at - silence.since >= SILENCE.ms) {
      this.#silenced.delete(lane);
      return undefined;
    }
    return silence;
  }
}
