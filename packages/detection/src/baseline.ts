import type { LaneId } from "@flowtriq/protocol/lane";

/**
 * Learned normal traffic of the lanes, in packets and bits per second. Three horizons: `peak` follows the highest rate of the
 * last minutes, `fast` the average of about ten minutes, `anchor` that of days. What counts as normal is the smaller of the
 * recent peak and a bounded multiple of the anchor, so that a slow ramp runs into the anchor instead of becoming normal.
 */
export type LaneBaseline = {
  peakPps: number;
  peakBps: number;
  fastPps: number;
  fastBps: number;
  anchorPps: number;
  anchorBps: number;
  /** Seconds learned, up to the anchor's horizon. */
  seconds: number;
};
export type Baselines = Partial<Record<LaneId, LaneBaseline>>;

const PEAK_HALF_LIFE_SECONDS = 600;
const FAST_SECONDS = 600;
const ANCHOR_SECONDS = 3 * 86_400;
/** A busy hour may be this much above the average of days before it is no longer called normal. */
const PEAK_OVER_ANCHOR = 6;
/** The first minutes teach freely: there is nothing yet that an attacker could have shifted. */
const COLD_SECONDS = 300;

export const emptyBaseline = (): LaneBaseline => ({
  peakPps: 0,
  peakBps: 0,
  fastPps: 0,
  fastBps: 0,
  anchorPps: 0,
  anchorBps: 0,
  seconds: 0,
});

/** Takes in `seconds` of traffic at these rates. Not to be called for lanes under attack or under suspicion. */
export function learn(baseline: LaneBaseline, pps: number, bps: number, seconds: number): LaneBaseline {
  const learned = Math.min(baseline.seconds + seconds, ANCHOR_SECONDS);
  // A plain mean while young, an exponential one later.
  const mean = (old: number, value: number, horizon: number) =>
    old + (value - old) * Math.min(1, seconds / Math.min(Math.max(learned, seconds), horizon));
  const decay = 0.5 ** (seconds / PEAK_HALF_LIFE_SECONDS);
  return {
    peakPps: Math.max(pps, baseline.peakPps * decay),
    peakBps: Math.max(bps, baseline.peakBps * decay),
    fastPps: mean(baseline.fastPps, pps, FAST_SECONDS),
    fastBps: mean(baseline.fastBps, bps, FAST_SECONDS),
    anchorPps: mean(baseline.anchorPps, pps, ANCHOR_SECONDS),
    anchorBps: mean(baseline.anchorBps, bps, ANCHOR_SECONDS),
    seconds: learned,
  };
}

/** Normal rates of a lane, to be multiplied by the policy's sensitivity. */
export function normal(baseline: LaneBaseline | undefined): { pps: number; bps: number } {
  if (!baseline) return { pps: 0, bps: 0 };
  const cold = baseline.seconds < COLD_SECONDS;
  const bound = (peak: number, anchor: number) => (cold ? peak : Math.min(peak, anchor * PEAK_OVER_ANCHOR));
  return {
    pps: bound(baseline.peakPps, baseline.anchorPps),
    bps: bound(baseline.peakBps, baseline.anchorBps),
  };
}
