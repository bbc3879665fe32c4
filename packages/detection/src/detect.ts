import { type LaneId, portOf, type VpnPort } from "@flowtriq/protocol/lane";
import type { Policy } from "@flowtriq/protocol/policy";
import { type Attack, type Change, LiveAttack, type Scene } from "./attack.ts";
import { type Baselines, emptyBaseline, learn, normal } from "./baseline.ts";
import type { Classification } from "./classify.ts";
import { courseOf } from "./course.ts";
import { type SampleContext, Summary } from "./features.ts";
import type { Packet } from "./packet.ts";
import { type Counts, type LaneCount, type LaneRate, Readings } from "./readings.ts";
import { judge, Suspicion } from "./suspicion.ts";
import { floorOf } from "./thresholds.ts";
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
  /** Rates at which a lane's bell was silenced, because what rang it was genuine. */
  readonly #silenced = new Map<LaneId, number>();

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  set policy(policy: Policy) {
    this.#options = { ...this.#options, policy };
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

  /** The rate at which the kernel should wake us for this lane, and the rates above which it is looked at. */
  threshold(lane: LaneId): { pps: number; bps: number; burst: number } {
    const { policy, baselines } = this.#options;
    const floor = floorOf(lane);
    const manual = policy.thresholdsPps[lane];
    const usual = normal(baselines[lane]);
    const pps = manual ?? Math.max(floor.pps, usual.pps * policy.sensitivity);
    const bell = Math.max(pps, this.#silenced.get(lane) ?? 0);
    return {
      pps: Math.round(bell),
      bps: Math.round(Math.max(floor.bps, usual.bps * policy.sensitivity)),
      burst: Math.max(floor.burst, Math.min(10_000, Math.round(bell * 0.005))),
    };
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
    if (!suspicion || suspicion.isForgotten(at)) suspicion = this.#suspect(at, lane, this.#readings.of(lane));
    suspicion.add(at, packet);
    return this.#judge(at, suspicion, false);
  }

  /** Cumulative counters of all lanes, and live tunnels (null: nobody can tell). */
  count(at: number, counts: Counts, tunnels: number | null): Change[] {
    const before = this.#readings.latest;
    if (!this.#readings.take(at, counts, tunnels) || !before) return [];
    const changes: Change[] = [];
    const scene = this.#scene();
    for (const live of this.#live.values()) {
      const found = live.measure(at, scene);
      if (found.at(-1)?.kind === "ended") this.#live.delete(live.attack.target);
      changes.push(...found);
    }
    for (const [lane, rate] of this.#readings.rates) {
      changes.push(...this.#watch(at, lane, rate, before.at, before.counts.get(lane)));
    }
    return changes;
  }

  #scene(): Scene {
    const { ports, policy } = this.#options;
    const threshold = (lane: LaneId) => this.threshold(lane);
    return { readings: this.#readings, ports, quietSeconds: policy.quietSeconds, threshold };
  }

  #suspect(at: number, lane: LaneId, before: LaneCount | undefined, overSince?: number): Suspicion {
    const suspicion = new Suspicion(at, lane, this.#options.samples, before, overSince);
    this.#suspicions.set(lane, suspicion);
    return suspicion;
  }

  #judge(at: number, suspicion: Suspicion, counted: boolean): Change[] {
    const { lane, since, before } = suspicion;
    const rate = this.#readings.rates.get(lane);
    const thresholdPps = this.threshold(lane).pps;
    const { ports } = this.#options;
    const course = counted ? courseOf(this.#readings, { at, lane, since, before, thresholdPps, ports }) : undefined;
    const judgement = judge(suspicion, { at, rate, thresholdPps, counted, course });
    if (judgement === "wait") return [];
    if (judgement !== "ordinary") return this.#open(at, suspicion, judgement);
    if (rate) {
      this.#silenced.set(lane, rate.pps * 1.5);
      this.#suspicions.delete(lane);
    }
    return [];
  }

  #open(at: number, suspicion: Suspicion, verdict: Classification): Change[] {
    const { lane, since, before, summary } = suspicion;
    const target = targetOf(lane);
    this.#suspicions.delete(lane);
    const known = this.#live.get(target);
    if (known) return known.join(at, lane, before, this.#scene());
    const { pps, bps } = this.#rateSince(suspicion);
    const { tunnels } = this.#readings;
    const attack: Attack = {
      id: this.#options.newId(),
      target,
      lanes: [lane],
      verdict: verdict.verdict ?? fallbackVerdict(lane, this.#options.ports),
      confidence: verdict.vector === null ? 0.5 : verdict.confidence,
      evidence: verdict.evidence,
      firstPacketAt: since,
      trippedAt: since,
      startedAt: at,
      lastSeenAt: at,
      thresholdPps: this.threshold(lane).pps,
      pps,
      bps,
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
  #watch(at: number, lane: LaneId, rate: LaneRate, since: number, before: LaneCount | undefined): Change[] {
    if (this.#live.get(targetOf(lane))?.attack.lanes.includes(lane)) return [];
    const threshold = this.threshold(lane);
    const over = rate.pps > threshold.pps || rate.bps > threshold.bps;
    const suspicion = this.#suspicions.get(lane);
    if (suspicion) {
      suspicion.overSince = over ? (suspicion.overSince ?? since) : undefined;
      if (suspicion.isForgotten(at) && !over) this.#suspicions.delete(lane);
      return over ? this.#judge(at, suspicion, true) : [];
    }
    if (over) {
      // Over without a trip: few large packets, or samples that another lane's flood used up.
      this.#suspect(at, lane, before, since);
    } else {
      const { baselines } = this.#options;
      baselines[lane] = learn(baselines[lane] ?? emptyBaseline(), rate.pps, rate.bps, (at - since) / 1000);
    }
    return [];
  }
}

function targetOf(lane: LaneId): string {
  const port = portOf(lane);
  return port ? `${port.transport}:${port.port}` : "host";
}
