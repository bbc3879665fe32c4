import { LaneId } from "@flowtriq/protocol/lane";
import { floorOf } from "./thresholds.ts";

/**
 * Learned normal traffic, in packets and bits per second, over three horizons: `fast` is the mean of about ten minutes, `day` the
 * geometric mean of about a day, and `week` what each hour of the week has been. What is usual is the fast mean, but never more than
 * a bounded multiple of what the longer horizons say, so that a slow ramp runs into them instead of becoming normal; and
 * never less than this hour of the week, so that a morning is no surprise.
 */
export type Rates = { pps: number; bps: number };

const HOUR_MS = 3_600_000;
const HOURS = 168;
const FAST_SECONDS = 600;
const DAY_SECONDS = 86_400;
/** The first minutes teach freely: there is nothing yet that an attacker could have shifted. */
const COLD_SECONDS = 300;
/** The fast mean counts up to this multiple of the longer horizons, and nothing above it is learned. */
const GROWTH = 2.5;
/** What the latest week weighs in its hour, in the logarithm. */
const WEEK_WEIGHT = 0.3;
/** An hour of which less was seen teaches nothing about that hour. */
const HOUR_LEAST_SECONDS = 600;
/** Between two readings further apart the host slept, or the clock was set: their mean is nobody's rate. */
const GAP_SECONDS = 60;
const KEPT_MS = 35 * 24 * HOUR_MS;
const MAX_LANES = 512;

/** Places in `state`: of each pair the first is of packets, the second of bits. */
const FAST = 0;
const DAY = 2;
const HOUR_SUM = 4;
const HOUR_SECONDS = 6;
const HOUR = 7;
const SECONDS = 8;
const LEARNED_AT = 9;
const PENDING = 10;
const PENDING_SECONDS = 12;
const STATE_LENGTH = 13;
/** Readings are taken in together, so many seconds of them, since logarithms cost more than a sum; the first ones at once. */
const FOLD_SECONDS = 10;
const YOUNG_SECONDS = 60;

/** Rates of an hour are kept as logarithms in 16 bits, a step being 0.07 %; 0: never seen. */
const STEPS = 1024;
const toCode = (rate: number) => Math.min(65_535, Math.max(1, Math.round(Math.log2(1 + rate) * STEPS)));
const fromCode = (code: number) => (code === 0 ? 0 : 2 ** (code / STEPS) - 1);

/** One lane's: typed arrays that are changed in place, since this happens for every lane every second. */
class LaneBaseline {
  /** Usual rates that leave the threshold at its floor. */
  readonly #least: Rates;
  readonly state = new Float64Array(STATE_LENGTH);
  readonly week = new Uint16Array(HOURS * 2);
  /** What the hour of `#usualHour` is expected to be, and what is usual now. */
  readonly #expected = new Float64Array(2);
  readonly #usual = { pps: 0, bps: 0 };
  #usualHour = Number.NaN;

  constructor(lane: LaneId) {
    this.#least = floorOf(lane).unlearned;
  }

  learn(at: number, rates: Rates, seconds: number): void {
    const { state } = this;
    state[PENDING]! += rates.pps * seconds;
    state[PENDING + 1]! += rates.bps * seconds;
    state[PENDING_SECONDS]! += seconds;
    state[LEARNED_AT] = at;
    if (state[PENDING_SECONDS]! >= FOLD_SECONDS || state[SECONDS]! < YOUNG_SECONDS) this.#fold(at);
  }

  /** The same object each time. */
  usual(at: number): Rates {
    const hour = Math.floor(at / HOUR_MS);
    if (hour !== this.#usualHour) this.#lookUp(hour);
    return this.#usual;
  }

  #fold(at: number): void {
    const { state } = this;
    const hour = Math.floor(at / HOUR_MS);
    if (state[HOUR] !== hour) this.#closeHour(hour);
    const seconds = state[PENDING_SECONDS]!;
    this.#learnOne(0, seconds, this.#reach(0));
    this.#learnOne(1, seconds, this.#reach(1));
    state[PENDING] = state[PENDING + 1] = state[PENDING_SECONDS] = 0;
    state[HOUR_SECONDS]! += seconds;
    state[SECONDS] = Math.min(state[SECONDS]! + seconds, 2 * DAY_SECONDS);
    this.#lookUp(hour);
  }

  #learnOne(metric: 0 | 1, seconds: number, reach: number): void {
    const { state } = this;
    const rate = Math.min(state[PENDING + metric]! / seconds, reach);
    const learned = state[SECONDS]! + seconds;
    // A plain mean while young, an exponential one later.
    const pull = (horizon: number) => Math.min(1, seconds / Math.min(learned, horizon));
    state[FAST + metric]! += (rate - state[FAST + metric]!) * pull(FAST_SECONDS);
    state[DAY + metric]! += (Math.log2(1 + rate) - state[DAY + metric]!) * pull(DAY_SECONDS);
    state[HOUR_SUM + metric]! += rate * seconds;
  }

  /** The most that counts: what was never seen before is held to what cannot raise a threshold above its floor. */
  #reach(metric: 0 | 1): number {
    if (this.state[SECONDS]! < COLD_SECONDS) return Number.POSITIVE_INFINITY;
    const least = metric === 0 ? this.#least.pps : this.#least.bps;
    return Math.max(least, GROWTH * (this.#expected[metric] || 2 ** this.state[DAY + metric]! - 1));
  }

  #lookUp(hour: number): void {
    if (hour !== this.#usualHour) {
      this.#usualHour = hour;
      for (const metric of [0, 1]) this.#expected[metric] = this.#expectedAt(metric, hour);
    }
    const { state } = this;
    this.#usual.pps = Math.max(this.#expected[0]!, Math.min(state[FAST]!, this.#reach(0)));
    this.#usual.bps = Math.max(this.#expected[1]!, Math.min(state[FAST + 1]!, this.#reach(1)));
  }

  /** What this hour of the week was, or the one before or after it: people and summer time keep no strict hours. */
  #expectedAt(metric: number, hour: number): number {
    let most = 0;
    for (let near = hour - 1; near <= hour + 1; near++) {
      most = Math.max(most, this.week[this.#slot(near) + metric]!);
    }
    return fromCode(most);
  }

  #closeHour(next: number): void {
    const { state, week } = this;
    const seconds = state[HOUR_SECONDS]!;
    if (seconds >= HOUR_LEAST_SECONDS) {
      const slot = this.#slot(state[HOUR]!);
      for (const metric of [0, 1]) {
        const code = toCode(state[HOUR_SUM + metric]! / seconds);
        const old = week[slot + metric]!;
        week[slot + metric] = old === 0 ? code : Math.round(old + (code - old) * WEEK_WEIGHT);
      }
    }
    this.#usualHour = Number.NaN;
    state[HOUR] = next;
    state[HOUR_SECONDS] = state[HOUR_SUM] = state[HOUR_SUM + 1] = 0;
  }

  #slot(hour: number): number {
    return (((hour % HOURS) + HOURS) % HOURS) * 2;
  }
}

const NOTHING: Rates = { pps: 0, bps: 0 };

/** Baselines of all lanes. `toJSON` is what is saved, `from` reads it back. */
export class Baselines {
  readonly #lanes = new Map<LaneId, LaneBaseline>();

  /** Of something that was saved once: what is not a baseline of a lane is left out, whatever it is. */
  static from(saved: unknown): Baselines {
    const baselines = new Baselines();
    const lanes = isRecord(saved) && saved.version === 2 ? saved.lanes : undefined;
    if (!isRecord(lanes)) return baselines;
    for (const [lane, kept] of Object.entries(lanes).slice(0, MAX_LANES)) {
      const id = LaneId.safeParse(lane);
      const read = id.success ? readLane(id.data, kept) : undefined;
      if (id.success && read) baselines.#lanes.set(id.data, read);
    }
    return baselines;
  }

  /** Takes in traffic at these rates, for so many seconds up to `at`. Not to be called for lanes under attack or suspicion. */
  learn(at: number, lane: LaneId, rates: Rates, seconds: number): void {
    if (!(seconds > 0 && seconds <= GAP_SECONDS)) return;
    let baseline = this.#lanes.get(lane);
    if (!baseline) {
      if (this.#lanes.size >= MAX_LANES) return;
      baseline = new LaneBaseline(lane);
      this.#lanes.set(lane, baseline);
    }
    baseline.learn(at, rates, seconds);
  }

  /** Usual rates of a lane at this time, to be multiplied by the policy's sensitivity; the same object each time. */
  usual(at: number, lane: LaneId): Readonly<Rates> {
    const baseline = this.#lanes.get(lane);
    return baseline ? baseline.usual(at) : NOTHING;
  }

  /** When something was learned last; 0: never. */
  get learnedAt(): number {
    let newest = 0;
    for (const { state } of this.#lanes.values()) newest = Math.max(newest, state[LEARNED_AT]!);
    return newest;
  }

  /** True once a lane has been seen for a whole day and night. */
  isLearned(lane: LaneId): boolean {
    return (this.#lanes.get(lane)?.state[SECONDS] ?? 0) >= DAY_SECONDS;
  }

  /** Lanes that were not seen for five weeks are left behind. */
  toJSON(): unknown {
    const newest = this.learnedAt;
    const kept = [...this.#lanes].filter(([, { state }]) => newest - state[LEARNED_AT]! < KEPT_MS);
    return {
      version: 2,
      lanes: Object.fromEntries(
        kept.map(([lane, { state, week }]) => [lane, { state: [...state].map(rounded), week: toBase64(week) }]),
      ),
    };
  }
}

const rounded = (value: number) => Math.round(value * 1000) / 1000;
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readLane(lane: LaneId, kept: unknown): LaneBaseline | undefined {
  if (!isRecord(kept) || !Array.isArray(kept.state) || typeof kept.week !== "string") return undefined;
  const week = fromBase64(kept.week);
  const whole = kept.state.length === STATE_LENGTH && kept.state.every((value) => Number.isFinite(value) && value >= 0);
  if (!whole || week?.length !== HOURS * 4) return undefined;
  const baseline = new LaneBaseline(lane);
  baseline.state.set(kept.state as number[]);
  for (let i = 0; i < HOURS * 2; i++) baseline.week[i] = week[i * 2]! | (week[i * 2 + 1]! << 8);
  return baseline;
}

/** Little-endian on every machine. */
function toBase64(week: Uint16Array): string {
  let text = "";
  for (const code of week) text += String.fromCharCode(code & 255, code >> 8);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));
  } catch {
    return undefined;
  }
}
