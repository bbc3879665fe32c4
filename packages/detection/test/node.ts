import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { Baselines } from "../src/baseline.ts";
import { type Attack, type Change, Detector, type LaneCount } from "../src/detect.ts";
import type { Mac1Key } from "../src/mac1.ts";
import type { Packet } from "../src/packet.ts";

/** Traffic of one lane while it flows. */
export type Flow = {
  lane: LaneId;
  pps: number | ((at: number) => number);
  /** Octets of a packet on the wire. */
  bytes?: number;
  /** The nth packet, where somebody may want to look at it. */
  packet?: (n: number, at: number) => Packet;
  /** Of each packet, how many the server answers: with what finishes a handshake, with anything, with a cookie. */
  finished?: number;
  sent?: number;
  cookies?: number;
  /** Share of them that comes from known peers. */
  known?: number;
};

/** As in the kernel's table, and in the agent's loop. */
const LANE_SAMPLES = { judged: 50, judgedBurst: 64, mitigated: 10, mitigatedBurst: 48, total: 200, totalBurst: 200 };
const RHYTHM_MS = { peace: 1_000, war: 100, siege: 250, curious: 20, retune: 10_000 };

class Bucket {
  #tokens: number;
  readonly #burst: number;
  constructor(burst: number) {
    this.#burst = burst;
    this.#tokens = burst;
  }
  fill(rate: number, seconds: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + rate * seconds);
  }
  /** Takes up to `wanted`, and says how many it had. */
  take(wanted: number): number {
    const taken = Math.max(0, Math.min(Math.floor(wanted), Math.floor(this.#tokens)));
    this.#tokens -= taken;
    return taken;
  }
}

type Lane = { count: LaneCount; bell: Bucket; held: { pps: number; burst: number }; judged: Bucket; mitigated: Bucket };

/**
 * A node in simulated time: what its kernel counts, rings and samples, and when its agent reads, from flows of packets a
 * second. Nothing is random and nothing waits.
 */
export class SimulatedNode {
  now = Date.UTC(2026, 2, 2);
  tunnels: number | null;
  flows: Flow[] = [];
  readonly changes: Change[] = [];
  readonly detector: Detector;
  /** Readings taken while nothing was suspected, and while something was. */
  readonly readings = { peace: 0, alert: 0 };
  /** What this node's kernel does not count. */
  uncounted: ("sent" | "cookies" | "known")[] = [];
  /** Packets a second that the server of a handshake lane sends, whatever arrives: what finishes handshakes, and all. */
  readonly answers = new Map<LaneId, { finished: number; sent: number }>();
  /** Share of an armed lane that its rules drop. */
  droppedShare = 0;
  readonly #lanes = new Map<LaneId, Lane>();
  readonly #sampler = new Bucket(LANE_SAMPLES.totalBurst);
  readonly #seen = new Map<Flow, { left: number; packets: number }>();
  #readAt: number;
  #retunedAt = 0;

  constructor(options: {
    ports: VpnPort[];
    policy?: Record<string, unknown>;
    baselines?: Baselines;
    tunnels?: number | null;
    mac1Keys?: ReadonlyMap<number, Mac1Key>;
  }) {
    const { ports, mac1Keys } = options;
    let ids = 0;
    this.tunnels = options.tunnels ?? null;
    this.detector = new Detector({
      ports,
      policy: Policy.parse(options.policy ?? {}),
      baselines: options.baselines ?? new Baselines(),
      samples: { ports, ...(mac1Keys && { mac1Keys }) },
      newId: () => `atk_node${String(++ids).padStart(8, "0")}`,
    });
    this.#readAt = this.now;
  }

  get attacks(): Attack[] {
    return this.detector.attacks;
  }
  get started(): Change[] {
    return this.changes.filter(({ kind }) => kind === "started");
  }

  /** Lets the flows flow. In war the steps are as fine as asked for; in peace they may be coarser. */
  run(milliseconds: number, stepMs = 1): this {
    for (const end = this.now + milliseconds; this.now < end; ) {
      const step = Math.min(stepMs, end - this.now);
      this.now += step;
      this.#sampler.fill(LANE_SAMPLES.total, step / 1000);
      for (const lane of this.#lanes.values()) {
        lane.bell.fill(lane.held.pps, step / 1000);
        lane.judged.fill(LANE_SAMPLES.judged, step / 1000);
        lane.mitigated.fill(LANE_SAMPLES.mitigated, step / 1000);
      }
      for (const [id, { finished, sent }] of this.answers) {
        const { count } = this.lane(id);
        count.finished += (finished * step) / 1000;
        count.sent = (count.sent ?? 0) + (sent * step) / 1000;
      }
      for (const flow of this.flows) this.#flow(flow, step / 1000);
      if (this.now >= this.#readAt) this.#read();
    }
    return this;
  }

  /** The clock is set by so much. */
  leap(milliseconds: number): void {
    this.now += milliseconds;
    this.#readAt += milliseconds;
    this.#retunedAt += milliseconds;
  }

  /** Until an attack has started, or the time is over. */
  runUntilAttack(milliseconds: number, stepMs = 1): this {
    const known = this.started.length;
    for (const end = this.now + milliseconds; this.now < end && this.started.length === known; )
      this.run(stepMs, stepMs);
    return this;
  }

  lane(id: LaneId): Lane {
    let lane = this.#lanes.get(id);
    if (!lane) {
      const count = { packets: 0, bytes: 0, dropped: 0, droppedBytes: 0, finished: 0, sent: 0, cookies: 0, known: 0 };
      const held = { ...this.detector.threshold(id).bell };
      lane = {
        count,
        held,
        bell: new Bucket(held.burst),
        judged: new Bucket(LANE_SAMPLES.judgedBurst),
        mitigated: new Bucket(LANE_SAMPLES.mitigatedBurst),
      };
      this.#lanes.set(id, lane);
    }
    return lane;
  }

  #flow(flow: Flow, seconds: number): void {
    const lane = this.lane(flow.lane);
    const seen = this.#seen.get(flow) ?? { left: 0, packets: 0 };
    this.#seen.set(flow, seen);
    const pps = typeof flow.pps === "number" ? flow.pps : flow.pps(this.now);
    seen.left += pps * seconds;
    const packets = Math.floor(seen.left);
    seen.left -= packets;
    const first = seen.packets;
    seen.packets += packets;
    const { count } = lane;
    const bytes = packets * (flow.bytes ?? 100);
    count.packets += packets;
    count.bytes += bytes;
    count.finished += packets * (flow.finished ?? 0);
    count.sent! += packets * (flow.sent ?? flow.finished ?? 0);
    count.cookies! += packets * (flow.cookies ?? 0);
    count.known! += packets * (flow.known ?? 0);
    const armed = this.attacks.some(({ lanes }) => lanes.includes(flow.lane));
    if (armed) {
      count.dropped += packets * this.droppedShare;
      count.droppedBytes += bytes * this.droppedShare;
    }
    const ringing = armed ? packets : packets - lane.bell.take(packets);
    if (ringing === 0 || !flow.packet) return;
    const samples = this.#sampler.take((armed ? lane.mitigated : lane.judged).take(ringing));
    for (let i = 0; i < samples; i++) {
      this.changes.push(...this.detector.sample(this.now, flow.lane, flow.packet(first + i, this.now)));
    }
    // The agent hurries once: a reading now and one soon.
    if (samples > 0 && this.detector.alert && this.#readAt - this.now > RHYTHM_MS.siege) {
      this.#read();
      this.#readAt = this.now + RHYTHM_MS.curious;
    }
  }

  #read(): void {
    const counts = new Map([...this.#lanes].map(([id, { count }]) => [id, { ...count }]));
    for (const count of counts.values()) for (const field of this.uncounted) delete count[field];
    this.changes.push(...this.detector.count(this.now, counts, this.tunnels));
    const { alert } = this.detector;
    this.readings[alert ? "alert" : "peace"]++;
    if (!alert && this.now - this.#retunedAt >= RHYTHM_MS.retune) {
      this.#retunedAt = this.now;
      for (const [id, lane] of this.#lanes) {
        const { pps, burst } = this.detector.threshold(id).bell;
        const moved = pps > lane.held.pps * 1.25 || pps < lane.held.pps * 0.75;
        if (moved) Object.assign(lane, { held: { pps, burst }, bell: new Bucket(burst) });
      }
    }
    const rhythm = this.detector.busy(this.now) ? RHYTHM_MS.war : RHYTHM_MS.siege;
    this.#readAt = this.now + (alert ? rhythm : RHYTHM_MS.peace);
  }
}
