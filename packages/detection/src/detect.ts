import type { Profile } from "@flowtriq/protocol/event";
import { type LaneId, portOf, type VpnPort } from "@flowtriq/protocol/lane";
import type { Policy } from "@flowtriq/protocol/policy";
import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import { type Baselines, emptyBaseline, learn, normal } from "./baseline.ts";
import { type Classification, classify } from "./classify.ts";
import { type Course, type SampleContext, Summary, toProfile } from "./features.ts";
import type { Packet } from "./packet.ts";
import { classOf, floorOf, isStrangerLane } from "./thresholds.ts";
import { fallbackVerdict } from "./verdict.ts";

/**
 * Cumulative counters of one lane, as the kernel holds them. `dropped` is part of `packets`; `finished`, of a handshake lane,
 * are the server's own packets that only a finished handshake gets.
 */
export type LaneCount = { packets: number; bytes: number; dropped: number; droppedBytes: number; finished: number };
export type Counts = ReadonlyMap<LaneId, LaneCount>;
/** Rates of one lane between two readings. */
export type LaneRate = { pps: number; bps: number; droppedPps: number; droppedBps: number };

export type DetectorOptions = {
  ports: VpnPort[];
  policy: Policy;
  baselines: Baselines;
  /** What the classifier may know: ports, WireGuard keys. */
  samples: SampleContext;
  /** A new attack id; the only thing that may be random. */
  newId: () => string;
};

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

/** Samples after which a lane of strangers is judged: enough to tell a flood from one lost session, few enough for milliseconds. */
const SAMPLES_TO_OPEN = 12;
/** Other lanes carry genuine traffic too; they need a picture that the classifier can read. */
const SAMPLES_TO_JUDGE = 32;
const SAMPLES_TO_CLASSIFY = 48;
/** A classification is announced at the latest this long after the start, with however many samples there are. */
const CLASSIFY_WITHIN_MS = 400;
const SURE = 0.6;
/** A suspicion without new samples is forgotten. */
const SUSPECT_FORGOTTEN_MS = 1_500;
/** Rates above the threshold for this long count as sustained. */
const SUSTAINED_MS = 900;
/** An unrecognised pattern must be this far above the threshold before it is called an attack. */
const UNRECOGNISED_FACTOR = 3;
/** So far above it, and so many packets, nobody waits for it to last. */
const FLAGRANT = { factor: 10, packets: 1_000, unfinished: 0.02 };
/** A server needs this long to finish handshakes that it has taken: one round trip for WireGuard, several for the others. */
const PATIENCE_MS = { wireguard: 250, other: 1_000 };
/** One session that nobody issued may be a tunnel older than the agent: up to this rate it is left alone. */
const LONE_SESSION_PPS = 25_000;
/** An attack is followed closely for this long; then its course is known. */
const BUSY_MS = 5_000;
/** A peak is a rate over at least this long. */
const PEAK_MS = 90;
/** As many senders, or sessions, as one household has. */
const FEW = 3;
const RECLASSIFY_MS = 2_000;

type Suspicion = {
  since: number;
  last: number;
  summary: Summary;
  overSince: number | undefined;
  /** The lane's counters at the last reading before it. */
  before: LaneCount | undefined;
};
type Live = {
  attack: Attack;
  summary: Summary;
  lastOverAt: number;
  classifiedAt: number;
  /** Counters of the lanes before the attack. */
  started: Map<LaneId, LaneCount>;
  /** The first reading after the trip, from which the rate and so the first packet are told. */
  firstReading: { at: number; packets: number } | undefined;
  dated: boolean;
};

/**
 * Traffic in, attacks out. Deterministic: the same readings and samples give the same attacks; it knows no clock, socket or
 * file. `count` takes the counters (twice a second in peace, ten times in war), `sample` what a rate trip of the kernel
 * handed up.
 */
export class Detector {
  #options: DetectorOptions;
  #previous: { at: number; counts: Counts } | undefined;
  readonly #suspicions = new Map<LaneId, Suspicion>();
  readonly #live = new Map<string, Live>();
  /** Rates at which a lane's bell was silenced, because what rang it was genuine. */
  readonly #silenced = new Map<LaneId, number>();
  #tunnels: number | null = null;
  rates: ReadonlyMap<LaneId, LaneRate> = new Map();

  constructor(options: DetectorOptions) {
    this.#options = options;
  }

  set policy(policy: Policy) {
    this.#options = { ...this.#options, policy };
  }

  get attacks(): Attack[] {
    return [...this.#live.values()].map(({ attack }) => attack);
  }

  /** True while counters should be read ten times a second. */
  get alert(): boolean {
    return this.#live.size > 0 || this.#suspicions.size > 0;
  }

  /** True while an attack's beginning or end may be missed by reading less often. */
  busy(at: number): boolean {
    if (this.#suspicions.size > 0) return true;
    return [...this.#live.values()].some(({ attack }) => at - attack.startedAt < BUSY_MS);
  }

  /** The clock was set: the time since the last reading is not known, so nothing may be measured or learned from it. */
  forgetReading(): void {
    this.#previous = undefined;
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
      this.#live.set(attack.target, {
        attack,
        summary: new Summary(this.#options.samples),
        lastOverAt: at,
        classifiedAt: at,
        started: new Map(),
        firstReading: undefined,
        dated: false,
      });
    }
  }

  /** One packet header of a lane whose rate tripped in the kernel. */
  sample(at: number, lane: LaneId, packet: Packet): Change[] {
    const live = this.#live.get(targetOf(lane));
    if (live) {
      live.summary.add(packet, at, lane);
      if (live.attack.lanes.includes(lane)) return [];
    }
    const suspicion = this.#suspect(at, lane, packet);
    return this.#judge(at, lane, suspicion);
  }

  /** Cumulative counters of all lanes, and live tunnels (null: nobody can tell). */
  count(at: number, counts: Counts, tunnels: number | null): Change[] {
    const previous = this.#previous;
    this.#previous = { at, counts };
    this.#tunnels = tunnels;
    if (!previous || at <= previous.at) return [];
    const seconds = (at - previous.at) / 1000;
    this.rates = ratesBetween(previous.counts, counts, seconds);
    const changes: Change[] = [];
    for (const live of this.#live.values()) changes.push(...this.#measure(at, live, counts, previous));
    for (const [lane, rate] of this.rates)
      changes.push(...this.#watch(at, lane, rate, seconds, previous.counts.get(lane)));
    return changes;
  }

  #suspect(at: number, lane: LaneId, packet: Packet): Suspicion {
    let suspicion = this.#suspicions.get(lane);
    if (!suspicion || at - suspicion.last > SUSPECT_FORGOTTEN_MS) {
      suspicion = this.#newSuspicion(at, lane, this.#previous?.counts.get(lane));
    }
    suspicion.last = at;
    suspicion.summary.add(packet, at, lane);
    return suspicion;
  }

  #newSuspicion(at: number, lane: LaneId, before: LaneCount | undefined, overSince?: number): Suspicion {
    const summary = new Summary(this.#options.samples);
    const suspicion: Suspicion = { since: at, last: at, summary, overSince, before };
    this.#suspicions.set(lane, suspicion);
    return suspicion;
  }

  /** Is what tripped a lane an attack? Asked at each sample, and at each reading of the counters. */
  #judge(at: number, lane: LaneId, suspicion: Suspicion, counted = false): Change[] {
    const { summary } = suspicion;
    const rate = this.rates.get(lane);
    const threshold = this.threshold(lane);
    const sustained = suspicion.overSince !== undefined && at - suspicion.overSince >= SUSTAINED_MS;
    if (isStrangerLane(lane)) {
      const unseen = counted && sustained && summary.samples === 0;
      if (!unseen && (summary.samples < SAMPLES_TO_OPEN || (!counted && !isTurn(summary.samples)))) return [];
      const verdict = classify(summary);
      // Many senders who proved nothing are a flood at once. A few may be sessions that are older than we are, and a picture
      // that reads as ordinary traffic may be that: both must be loud, or last.
      const sessions = classOf(lane) === "unissued" ? summary.distinctReceiverIndices : summary.distinctSources;
      const few = !unseen && summary.distinctSources <= FEW && sessions <= FEW;
      const loud = (rate?.pps ?? 0) > Math.max(LONE_SESSION_PPS, threshold.pps);
      const lasts = sustained && (few ? classOf(lane) !== "unissued" && verdict.vector !== null : true);
      if ((few || verdict.vector === null) && !loud && !lasts) return [];
      return this.#open(at, lane, suspicion, verdict);
    }
    const enough = summary.samples >= SAMPLES_TO_JUDGE;
    const course = counted ? this.#courseOf(at, lane, suspicion) : undefined;
    if (course) summary.course = course;
    if (!sustained && !(enough && (course || summary.samples % SAMPLES_TO_JUDGE === 0))) return [];
    const verdict = classify(summary);
    const quick = enough && verdict.vector !== null && verdict.confidence >= SURE;
    const loud =
      sustained && (rate?.pps ?? 0) > threshold.pps * UNRECOGNISED_FACTOR && summary.samples >= SAMPLES_TO_OPEN;
    const known = sustained && verdict.vector !== null && verdict.confidence >= SURE;
    if (verdict.verdict !== "reconnect_storm" && (quick || known || (loud && !isOrdinary(lane)))) {
      return this.#open(at, lane, suspicion, verdict);
    }
    if (sustained && rate) {
      this.#silenced.set(lane, rate.pps * 1.5);
      this.#suspicions.delete(lane);
    }
    return [];
  }

  /** What the counters say of a suspicion; undefined while they say too little. */
  #courseOf(at: number, lane: LaneId, { before, since }: Suspicion): Course | undefined {
    const now = this.#previous?.counts.get(lane);
    const pps = this.rates.get(lane)?.pps;
    if (!before || !now || pps === undefined) return undefined;
    const packets = now.packets - before.packets;
    const times = pps / this.threshold(lane).pps;
    const flagrant = packets >= FLAGRANT.packets && times >= FLAGRANT.factor;
    if (classOf(lane) !== "handshake") return flagrant && !isOrdinary(lane) ? { pps, times } : undefined;
    const finished = now.finished - before.finished;
    const wireguard = fallbackVerdict(lane, this.#options.ports) === "wireguard_handshake_flood";
    const ripe = at - since >= (wireguard ? PATIENCE_MS.wireguard : PATIENCE_MS.other);
    // No server finishes thousands in milliseconds; but that it finishes hardly any of so many is seen at once.
    if (!ripe && !(flagrant && finished < packets * FLAGRANT.unfinished)) return undefined;
    return { pps, times, handshakes: { opened: packets, finished } };
  }

  #open(at: number, lane: LaneId, suspicion: Suspicion, verdict: Classification): Change[] {
    const target = targetOf(lane);
    this.#suspicions.delete(lane);
    const { pps, bps } = this.#rateSince(lane, suspicion);
    const threshold = this.threshold(lane);
    const counts = suspicion.before;
    const known = this.#live.get(target);
    if (known) {
      known.attack.lanes = [...known.attack.lanes, lane];
      known.lastOverAt = at;
      if (counts) known.started.set(lane, counts);
      return this.#reclassify(at, known, true);
    }
    const attack: Attack = {
      id: this.#options.newId(),
      target,
      lanes: [lane],
      verdict: verdict.verdict ?? fallbackVerdict(lane, this.#options.ports),
      confidence: verdict.vector === null ? 0.5 : verdict.confidence,
      evidence: verdict.evidence,
      firstPacketAt: suspicion.since,
      trippedAt: suspicion.since,
      startedAt: at,
      lastSeenAt: at,
      thresholdPps: threshold.pps,
      pps,
      bps,
      passedPps: pps,
      // Measured, never guessed: the rate so far comes from a few samples.
      peakPps: 0,
      peakBps: 0,
      packets: 0,
      droppedPackets: 0,
      tunnelsBefore: this.#tunnels,
      tunnelsLowest: this.#tunnels,
      tunnels: this.#tunnels,
      classified: false,
    };
    const live: Live = {
      attack,
      summary: suspicion.summary,
      lastOverAt: at,
      classifiedAt: at,
      started: new Map(),
      firstReading: this.#readingSince(suspicion.since, lane),
      dated: false,
    };
    if (counts) live.started.set(lane, counts);
    this.#live.set(target, live);
    return [{ kind: "started", at, attack: { ...attack }, profile: toProfile(live.summary) }];
  }

  /** The last reading, if the trip came before it. */
  #readingSince(at: number, lane: LaneId): Live["firstReading"] {
    const reading = this.#previous;
    const packets = reading?.counts.get(lane)?.packets;
    return reading && packets !== undefined && reading.at >= at ? { at: reading.at, packets } : undefined;
  }

  /** Rate of a lane that has just tripped: from its samples, which are consecutive packets at first. */
  #rateSince(lane: LaneId, suspicion: Suspicion): { pps: number; bps: number } {
    const known = this.rates.get(lane);
    if (known && suspicion.summary.samples === 0) return { pps: Math.round(known.pps), bps: Math.round(known.bps) };
    const seconds = (suspicion.last - suspicion.since) / 1000;
    const sampled = seconds > 0 ? suspicion.summary.samples / seconds : 0;
    const pps = Math.max(known?.pps ?? 0, Math.min(sampled, 10_000_000), this.threshold(lane).pps);
    return { pps: Math.round(pps), bps: Math.round(pps * suspicion.summary.meanWireLength * 8) };
  }

  #reclassify(at: number, live: Live, force: boolean): Change[] {
    const { attack, summary } = live;
    const first =
      !attack.classified && (summary.samples >= SAMPLES_TO_CLASSIFY || at - attack.startedAt >= CLASSIFY_WITHIN_MS);
    const again = attack.classified && at - live.classifiedAt >= RECLASSIFY_MS;
    const measured = live.dated || at - attack.startedAt >= CLASSIFY_WITHIN_MS;
    if (!measured || (!first && !again && !force) || summary.samples === 0) return [];
    live.classifiedAt = at;
    const verdict = classify(summary);
    const next = verdict.verdict ?? fallbackVerdict(attack.lanes[0]!, this.#options.ports);
    const changed = next !== attack.verdict;
    // A later picture replaces an earlier one only when it is at least as sure.
    if (first || (changed && verdict.confidence >= attack.confidence) || force) {
      attack.classified = true;
      attack.verdict = next;
      attack.confidence = verdict.verdict === null ? 0.5 : verdict.confidence;
      attack.evidence = verdict.evidence;
      return [{ kind: "classified", at, attack: { ...attack }, profile: toProfile(summary) }];
    }
    return [];
  }

  /**
   * Reckons back from two readings after the trip: what had come by the first of them, at the rate between them, began so
   * long before it. The kernel stamps nothing in peace, and a few milliseconds are all the error there can be.
   */
  #dateFirstPacket(at: number, live: Live, counts: Counts): void {
    const { attack } = live;
    const lane = attack.lanes[0]!;
    const now = counts.get(lane)?.packets;
    const start = live.started.get(lane)?.packets;
    if (live.dated || now === undefined || start === undefined) return;
    if (!live.firstReading) {
      live.firstReading = { at, packets: now };
      return;
    }
    const pps = ((now - live.firstReading.packets) / (at - live.firstReading.at)) * 1000;
    if (!(pps > 0)) return;
    live.dated = true;
    const began = live.firstReading.at - ((live.firstReading.packets - start) / pps) * 1000;
    attack.firstPacketAt = Math.min(attack.trippedAt, Math.max(began, attack.trippedAt - 1_000));
  }

  /** Whether those that got through to the server could be finished, from the attack's beginning on. */
  #followHandshakes({ attack, started, summary }: Live, counts: Counts): void {
    const lane = attack.lanes.find((candidate) => classOf(candidate) === "handshake");
    const [now, start, rate] = lane ? [counts.get(lane), started.get(lane), this.rates.get(lane)] : [];
    if (!lane || !now || !start || !rate) return;
    const opened = now.packets - start.packets - (now.dropped - start.dropped);
    const times = rate.pps / this.threshold(lane).pps;
    summary.course = { pps: rate.pps, times, handshakes: { opened, finished: now.finished - start.finished } };
  }

  #measure(at: number, live: Live, counts: Counts, before: { at: number; counts: Counts }): Change[] {
    const { attack } = live;
    let pps = 0;
    let bps = 0;
    let passedPps = 0;
    let over = false;
    attack.packets = 0;
    attack.droppedPackets = 0;
    for (const lane of attack.lanes) {
      const rate = this.rates.get(lane);
      const start = live.started.get(lane) ?? before.counts.get(lane);
      const now = counts.get(lane);
      if (start && !live.started.has(lane)) live.started.set(lane, start);
      if (start && now) {
        attack.packets += Math.max(0, now.packets - start.packets);
        attack.droppedPackets += Math.max(0, now.dropped - start.dropped);
      }
      if (!rate) continue;
      pps += rate.pps;
      bps += rate.bps;
      passedPps += Math.max(0, rate.pps - rate.droppedPps);
      const threshold = this.threshold(lane);
      if (rate.pps > threshold.pps / 2 || rate.bps > threshold.bps / 2) over = true;
    }
    this.#followHandshakes(live, counts);
    this.#dateFirstPacket(at, live, counts);
    Object.assign(attack, { pps: Math.round(pps), bps: Math.round(bps), passedPps: Math.round(passedPps) });
    // Over a few milliseconds a rate is mostly noise.
    if (at - before.at >= PEAK_MS) {
      attack.peakPps = Math.max(attack.peakPps, attack.pps);
      attack.peakBps = Math.max(attack.peakBps, attack.bps);
    }
    attack.tunnels = this.#tunnels;
    if (this.#tunnels !== null) attack.tunnelsLowest = Math.min(attack.tunnelsLowest ?? this.#tunnels, this.#tunnels);
    if (over) {
      live.lastOverAt = at;
      attack.lastSeenAt = at;
    }
    if (at - live.lastOverAt >= this.#options.policy.quietSeconds * 1000) {
      this.#live.delete(attack.target);
      return [{ kind: "ended", at, attack: { ...attack }, profile: toProfile(live.summary) }];
    }
    return this.#reclassify(at, live, false);
  }

  /** Looks at one lane's rate: learns it, or keeps an eye on it. */
  #watch(at: number, lane: LaneId, rate: LaneRate, seconds: number, before: LaneCount | undefined): Change[] {
    const attacked = this.#live.get(targetOf(lane))?.attack.lanes.includes(lane);
    if (attacked) return [];
    const threshold = this.threshold(lane);
    const over = rate.pps > threshold.pps || rate.bps > threshold.bps;
    const suspicion = this.#suspicions.get(lane);
    if (suspicion) {
      suspicion.overSince = over ? (suspicion.overSince ?? at - seconds * 1000) : undefined;
      if (at - suspicion.last > SUSPECT_FORGOTTEN_MS && !over) this.#suspicions.delete(lane);
      return over ? this.#judge(at, lane, suspicion, true) : [];
    }
    if (over) {
      // Over without a trip: few large packets, or samples that another lane's flood used up.
      this.#newSuspicion(at, lane, before, at - seconds * 1000);
    } else {
      const { baselines } = this.#options;
      baselines[lane] = learn(baselines[lane] ?? emptyBaseline(), rate.pps, rate.bps, seconds);
    }
    return [];
  }
}

/** Judging costs more than sampling, so a suspicion is judged at its 12th, 24th, 48th … sample, and when counters are read. */
const isTurn = (samples: number) => {
  const turns = samples / SAMPLES_TO_OPEN;
  return Number.isInteger(turns) && (turns & (turns - 1)) === 0;
};

/** Genuine traffic of unknown kind: its rate alone is never an attack, however far it rises. */
const isOrdinary = (lane: LaneId) => ["data", "tcp", "udp"].includes(classOf(lane));

function targetOf(lane: LaneId): string {
  const port = portOf(lane);
  return port ? `${port.transport}:${port.port}` : "host";
}

function ratesBetween(before: Counts, after: Counts, seconds: number): Map<LaneId, LaneRate> {
  const rates = new Map<LaneId, LaneRate>();
  for (const [lane, now] of after) {
    const then = before.get(lane);
    // A counter that ran backwards belongs to a table that was loaded anew.
    if (!then || now.packets < then.packets) continue;
    rates.set(lane, {
      pps: (now.packets - then.packets) / seconds,
      bps: ((now.bytes - then.bytes) * 8) / seconds,
      droppedPps: Math.max(0, now.dropped - then.dropped) / seconds,
      droppedBps: (Math.max(0, now.droppedBytes - then.droppedBytes) * 8) / seconds,
    });
  }
  return rates;
}
