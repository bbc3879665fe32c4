import { type LaneId, portOf, type VpnPort } from "@flowtriq/protocol/lane";
import type { Policy } from "@flowtriq/protocol/policy";
import { type Attack, type Change, LiveAttack, type Metric, type Scene } from "./attack.ts";
import type { Baselines } from "./baseline.ts";
import type { Classification } from "./classify.ts";
import { type Comeback, Comebacks } from "./comeback.ts";
import { courseOf } from "./course.ts";
import { type SampleContext, Summary } from "./features.ts";
import { type Limit, Limits } from "./limits.ts";
import type { Packet } from "./packet.ts";
import { Pieces } from "./pieces.ts";
import { type Counts, type LaneRate, type Reading, Readings } from "./readings.ts";
import { Starvations } from "./starvation.ts";
import { judge, Suspicion } from "./suspicion.ts";
import { classOf } from "./thresholds.ts";
import { fallbackVerdict } from "./verdict.ts";

export type { Attack, Change } from "./attack.ts";
export type { Counts, LaneCount, LaneRate } from "./readings.ts";

export type DetectorOptions = {
  ports: VpnPort[];
  policy: Policy;
  baselines: Baselines;
  /** What the classifier may know: ports, WireGuard keys. */
  samples: SampleContext;
  /** A new attack id; the only thing that may be random. */
  newId: () => string;
};

/**
 * Traffic in, attacks out. Deterministic: the same readings and samples give the same attacks; it knows no clock, socket or
 * file. `count` takes the counters (twice a second in peace, ten times in war), `sample` what a rate trip of the kernel
 * handed up.
 */
export class Detector {
  #options: DetectorOptions;
  readonly #readings = new Readings();
  readonly #suspicions = new Map<LaneId, Suspicion>();
  readonly #live = new Map<string, LiveAttack>();
  readonly #limits: Limits;
  readonly #comebacks = new Comebacks();
  readonly #starvations: Starvations;

  constructor(options: DetectorOptions) {
    this.#options = { ...options, samples: { ...options.samples, pieces: new Pieces() } };
    this.#limits = new Limits(options.policy, options.baselines);
    this.#starvations = new Starvations(options.ports);
  }

  set policy(policy: Policy) {
    this.#limits.policy = policy;
  }

  /** What is known of the ports has changed: what is suspected was read as if it had not. */
  set ports(ports: VpnPort[]) {
    this.#options = { ...this.#options, ports, samples: { ...this.#options.samples, ports } };
    this.#suspicions.clear();
  }

  get attacks(): Attack[] {
    return [...this.#live.values()].map(({ attack }) => attack);
  }

  get rates(): ReadonlyMap<LaneId, LaneRate> {
    return this.#readings.rates;
  }

  /** True while counters should be read ten times a second. */
  get alert(): boolean {
    return this.#live.size > 0 || this.#suspicions.size > 0;
  }

  /** True while an attack's beginning or end may be missed by reading less often. */
  busy(at: number): boolean {
    return this.#suspicions.size > 0 || [...this.#live.values()].some((live) => live.isBusy(at));
  }

  get baselines(): Baselines {
    return this.#options.baselines;
  }

  /** The rates above which a lane is looked at, and when the kernel should wake us for it. */
  threshold(lane: LaneId): Limit {
    return this.#limits.of(lane);
  }

  /** Takes over attacks that a predecessor was mitigating. */
  adopt(attacks: Attack[], at: number): void {
    for (const attack of attacks) {
      this.#live.set(attack.target, new LiveAttack(attack, new Summary(this.#options.samples), at));
    }
  }

  /** One packet header of a lane whose rate tripped in the kernel. */
  sample(at: number, lane: LaneId, packet: Packet): Change[] {
    const live = this.#live.get(targetOf(lane));
    if (live) {
      live.summary.add(packet, at, lane);
      if (live.attack.lanes.includes(lane)) return [];
    }
    let suspicion = this.#suspicions.get(lane);
    if (!suspicion && this.#limits.isDeaf(at, lane)) return [];
    if (!suspicion || suspicion.isForgotten(at)) suspicion = this.#suspect(at, lane, this.#readings.latest?.counts);
    suspicion.add(at, packet);
    return this.#judge(at, suspicion, false);
  }

  /** Cumulative counters of all lanes, and live tunnels (null: nobody can tell). */
  count(at: number, counts: Counts, tunnels: number | null): Change[] {
    const before = this.#readings.latest;
    this.#leap(this.#readings.leap(at));
    this.#limits.at = at;
    if (!this.#readings.take(at, counts, tunnels) || !before) return [];
    const { ports } = this.#options;
    const seconds = (at - before.at) / 1000;
    this.#comebacks.take(seconds, this.#readings, this.#limits, ports);
    this.#starvations.take(seconds, counts, (lane) => this.#isCalm(lane));
    const changes: Change[] = [];
    const scene = this.#scene();
    for (const live of this.#live.values()) {
      const found = live.measure(at, scene);
      if (found.at(-1)?.kind === "ended") this.#live.delete(live.attack.target);
      changes.push(...found);
    }
    for (const [lane, rate] of this.#readings.rates) changes.push(...this.#watch(at, lane, rate, before));
    for (const { lane, words } of this.#starvations.starving(at, (asked) => this.#comebackOn(asked))) {
      if (this.#isCalm(lane)) changes.push(...this.#starve(at, lane, words, before.counts));
    }
    return changes;
  }

  #isCalm(lane: LaneId): boolean {
    if (this.#live.size === 0) return !this.#suspicions.has(lane);
    return !this.#suspicions.has(lane) && !this.#live.get(targetOf(lane))?.attack.lanes.includes(lane);
  }

  #comebackOn(lane: LaneId): Comeback | undefined {
    return this.#comebacks.of(lane, this.#readings, this.#limits, this.#options.ports);
  }

  /** The clock was set, or the host slept: an attack goes on where it was, a suspicion is formed anew. */
  #leap(milliseconds: number): void {
    if (milliseconds === 0) return;
    this.#suspicions.clear();
    this.#starvations.forget();
    for (const live of this.#live.values()) live.leap(milliseconds);
  }

  #scene(): Scene {
    const { quietSeconds } = this.#limits.policy;
    const { ports } = this.#options;
    return { readings: this.#readings, limits: this.#limits, starvations: this.#starvations, ports, quietSeconds };
  }

  #suspect(at: number, lane: LaneId, before: Counts | undefined, overSince?: number): Suspicion {
    const suspicion = new Suspicion(at, lane, this.#options.samples, before, overSince);
    this.#suspicions.set(lane, suspicion);
    return suspicion;
  }

  #judge(at: number, suspicion: Suspicion, counted: boolean): Change[] {
    const { lane } = suspicion;
    const rate = this.#readings.rates.get(lane);
    const limit = this.threshold(lane);
    const { ports } = this.#options;
    const comeback = classOf(lane) === "handshake" ? this.#comebackOn(lane) : undefined;
    const asked = { at, suspicion, thresholdPps: limit.pps, comeback, ports };
    const course = counted ? courseOf(this.#readings, asked) : undefined;
    const judgement = judge(suspicion, { at, rate, limit, counted, course, comeback });
    if (judgement === "wait") return [];
    if (judgement !== "ordinary") return this.#trip(at, suspicion, judgement);
    if (rate) {
      this.#limits.silence(at, lane, rate);
      this.#suspicions.delete(lane);
    }
    return [];
  }

  #trip(at: number, suspicion: Suspicion, verdict: Classification): Change[] {
    const { lane, since, before, summary } = suspicion;
    this.#suspicions.delete(lane);
    const rate = this.rates.get(lane);
    const limit = this.threshold(lane);
    const metric = rate && rate.bps > limit.bps && rate.pps <= limit.pps ? "bps" : "pps";
    const unseen = summary.samples === 0 && rate;
    return this.#open(at, {
      lane,
      metric,
      since,
      before,
      summary,
      rate: this.#rateSince(suspicion),
      verdict: verdict.verdict ?? fallbackVerdict(lane, this.#options.ports),
      confidence: verdict.vector === null ? 0.5 : verdict.confidence,
      evidence: unseen ? [counted(rate, limit)] : verdict.evidence,
    });
  }

  /** Nobody has seen a packet of it: the counters alone say that a server's places are taken. */
  #starve(at: number, lane: LaneId, evidence: string[], before: Counts): Change[] {
    return this.#open(at, {
      lane,
      metric: "unfinished",
      since: at,
      before,
      summary: new Summary(this.#options.samples),
      rate: this.rates.get(lane) ?? { pps: 0, bps: 0 },
      verdict: "handshake_starvation",
      confidence: STARVING_CONFIDENCE,
      evidence,
    });
  }

  #open(at: number, found: Found): Change[] {
    const { lane, since, before, summary, metric } = found;
    const target = targetOf(lane);
    const known = this.#live.get(target);
    if (known) return known.join(at, found, this.#scene());
    const { tunnels } = this.#readings;
    const pps = Math.round(found.rate.pps);
    const attack: Attack = {
      id: this.#options.newId(),
      target,
      lanes: [lane],
      verdict: found.verdict,
      confidence: found.confidence,
      evidence: found.evidence,
      firstPacketAt: since,
      trippedAt: since,
      startedAt: at,
      lastSeenAt: at,
      thresholdPps: this.threshold(lane).pps,
      pps,
      bps: Math.round(found.rate.bps),
      passedPps: pps,
      // Measured, never guessed: the rate so far comes from a few samples.
      peakPps: 0,
      peakBps: 0,
      packets: 0,
      droppedPackets: 0,
      tunnelsBefore: tunnels,
      tunnelsLowest: tunnels,
      tunnels,
      classified: false,
      metrics: { [lane]: metric },
    };
    const live = new LiveAttack(attack, summary, at, this.#readingSince(since, lane));
    live.countFrom(lane, before);
    this.#live.set(target, live);
    return [live.change("started", at)];
  }

  /** The last reading, if the trip came before it. */
  #readingSince(at: number, lane: LaneId): { at: number; packets: number } | undefined {
    const { latest } = this.#readings;
    const packets = this.#readings.of(lane)?.packets;
    return latest && packets !== undefined && latest.at >= at ? { at: latest.at, packets } : undefined;
  }

  /** Rate of a lane that has just tripped: from its samples, which are consecutive packets at first. */
  #rateSince({ lane, since, last, summary }: Suspicion): { pps: number; bps: number } {
    const known = this.rates.get(lane);
    if (known && summary.samples === 0) return { pps: Math.round(known.pps), bps: Math.round(known.bps) };
    const seconds = (last - since) / 1000;
    const sampled = seconds > 0 ? summary.samples / seconds : 0;
    const pps = Math.max(known?.pps ?? 0, Math.min(sampled, 10_000_000), this.threshold(lane).pps);
    return { pps: Math.round(pps), bps: Math.round(pps * summary.meanWireLength * 8) };
  }

  /** Looks at one lane's rate: learns it, or keeps an eye on it. */
  #watch(at: number, lane: LaneId, rate: LaneRate, before: Reading): Change[] {
    if (this.#live.size > 0 && this.#live.get(targetOf(lane))?.attack.lanes.includes(lane)) return [];
    const limit = this.threshold(lane);
    const over = rate.pps > limit.pps || rate.bps > limit.bps;
    const suspicion = this.#suspicions.get(lane);
    if (suspicion) {
      suspicion.summary.sequences.note(lane, at, this.#readings.of(lane)!.packets);
      suspicion.before ??= before.counts;
      suspicion.overSince = over ? (suspicion.overSince ?? before.at) : undefined;
      if (suspicion.isForgotten(at) && !over) this.#suspicions.delete(lane);
      return over ? this.#judge(at, suspicion, true) : [];
    }
    // Over without a trip: few large packets, or samples that another lane's flood used up.
    if (over) this.#suspect(at, lane, before.counts, before.at);
    else this.baselines.learn(at, lane, rate, (at - before.at) / 1000);
    return [];
  }
}

/** What an attack is opened with. */
type Found = Pick<Attack, "verdict" | "confidence" | "evidence"> & {
  lane: LaneId;
  metric: Metric;
  since: number;
  /** The last reading of all counters before it. */
  before: Counts | undefined;
  summary: Summary;
  rate: { pps: number; bps: number };
};

/** Counters see that places are taken, not by whom. */
const STARVING_CONFIDENCE = 0.8;

/** What counters say of an attack that no sample was seen of. */
const counted = (rate: LaneRate, limit: Limit): string =>
  `counted: ${Math.round(rate.pps)} packets and ${(rate.bps / 1e6).toFixed(1)} Mbit a second, where ${limit.pps} packets ` +
  `and ${(limit.bps / 1e6).toFixed(1)} Mbit are the threshold; no packet of them was sampled`;

function targetOf(lane: LaneId): string {
  const port = portOf(lane);
  return port ? `${port.transport}:${port.port}` : "host";
}
