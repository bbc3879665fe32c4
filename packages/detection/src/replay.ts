import { type LaneId, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import type { Attack, Change, Detector, LaneCount } from "./detect.ts";
import { type Learned, LearnedState, laneOf, portFor } from "./lanes.ts";
import { type Address, type Packet, PROTOCOL } from "./packet.ts";
import { finishesHandshake, WIREGUARD, word } from "./shapes.ts";

/** A packet of a capture with its time in epoch milliseconds. */
export type Timed = { at: number; packet: Packet };

export type ReplayOptions = {
  ports: VpnPort[];
  detector: Detector;
  /** The protected host, as `inferHost` finds it: what it sends teaches, what it receives is judged. */
  host: Address | undefined;
  samplesPerSecond: number;
  /** Lanes that would drop while these attacks are on. */
  armed: (attacks: Attack[]) => readonly LaneId[];
};

const PEACE_MS = 500;
const WAR_MS = 100;
/** The kernel's bounds on samples: of a lane that is judged, of one whose rules stand, of all lanes together. */
const JUDGED = { share: 1 / 4, burst: 64 };
const MITIGATED = { share: 1 / 20, burst: 48 };
const TOTAL_BURST = 200;

/**
 * Plays a capture to the detector as the kernel would: lanes counted, rate trips by token bucket, samples bounded, counters
 * read at the loop's rhythm, all in the capture's own time. A lane that is armed drops everything in it.
 */
export function* replay(packets: Iterable<Timed>, options: ReplayOptions): Generator<Change> {
  const { detector, host, ports } = options;
  const learned = new LearnedState(ports);
  const kernel = new Kernel(options, learned);
  let now: number | undefined;
  let tickAt = 0;
  for (const { at, packet } of packets) {
    if (now === undefined) {
      now = at;
      tickAt = at;
      yield* detector.count(at, kernel.snapshot(), null);
    }
    now = Math.max(now, at);
    // A reading per tick while something is going on; one jump over silence.
    while (tickAt + rhythm(detector) <= now) {
      tickAt = detector.alert ? tickAt + rhythm(detector) : Math.max(tickAt + rhythm(detector), now - (now % PEACE_MS));
      yield* detector.count(Math.min(tickAt, now), kernel.snapshot(), null);
    }
    learned.advance(now);
    if (host !== undefined && packet.source === host) {
      learned.learn(packet, now);
      kernel.send(packet);
    } else if (host === undefined || packet.destination === host) yield* kernel.receive(packet, now);
  }
  // After its end the capture is silent: open attacks run out.
  for (let left = 100_000; detector.alert && left > 0; left--) {
    tickAt += WAR_MS;
    yield* detector.count(tickAt, kernel.snapshot(), null);
  }
}

const rhythm = (detector: Detector) => (detector.alert ? WAR_MS : PEACE_MS);

/** The kernel's side of a node: lane counters, trips and the sample limit. */
class Kernel {
  readonly #options: ReplayOptions;
  readonly #learned: Learned;
  readonly #counts = new Map<LaneId, LaneCount>();
  readonly #thresholds = new Map<LaneId, Bucket>();
  readonly #judged = new Map<LaneId, Bucket>();
  readonly #mitigated = new Map<LaneId, Bucket>();
  readonly #sampler: Bucket;

  constructor(options: ReplayOptions, learned: Learned) {
    this.#options = options;
    this.#learned = learned;
    this.#sampler = new Bucket(options.samplesPerSecond, TOTAL_BURST);
  }

  snapshot(): Map<LaneId, LaneCount> {
    return new Map([...this.#counts].map(([lane, count]) => [lane, { ...count }]));
  }

  #count(lane: LaneId): LaneCount {
    let count = this.#counts.get(lane);
    if (!count) {
      count = { packets: 0, bytes: 0, dropped: 0, droppedBytes: 0, finished: 0, sent: 0, cookies: 0 };
      this.#counts.set(lane, count);
    }
    return count;
  }

  send(packet: Packet): void {
    if (packet.protocol !== PROTOCOL.udp || !packet.transport) return;
    const port = portFor(packet.sourcePort, "udp", this.#options.ports);
    if (!port) return;
    const count = this.#count(vpnLane(port, "handshake"));
    count.sent = (count.sent ?? 0) + 1;
    if (finishesHandshake(packet, port.protocol)) count.finished++;
    const cookie = port.protocol === "wireguard" && word(packet.payload, 0) === WIREGUARD.cookieReply.word;
    if (cookie) count.cookies = (count.cookies ?? 0) + 1;
  }

  receive(packet: Packet, at: number): Change[] {
    const { detector, ports, armed, samplesPerSecond } = this.#options;
    const lane = laneOf(packet, { ports, learned: this.#learned });
    if (lane === undefined) return [];
    const count = this.#count(lane);
    count.packets++;
    count.bytes += packet.wireLength;
    const mitigated = detector.attacks.length > 0 && armed(detector.attacks).includes(lane);
    if (mitigated) {
      count.dropped++;
      count.droppedBytes += packet.wireLength;
    }
    const sampled = mitigated
      ? bucketOf(this.#mitigated, lane, samplesPerSecond * MITIGATED.share, MITIGATED.burst).take(at)
      : this.#isOver(lane, at) && bucketOf(this.#judged, lane, samplesPerSecond * JUDGED.share, JUDGED.burst).take(at);
    return sampled && this.#sampler.take(at) ? detector.sample(at, lane, packet) : [];
  }

  #isOver(lane: LaneId, at: number): boolean {
    const { pps, burst } = this.#options.detector.threshold(lane).bell;
    return !bucketOf(this.#thresholds, lane, pps, burst).take(at);
  }
}

function bucketOf(buckets: Map<LaneId, Bucket>, lane: LaneId, rate: number, burst: number): Bucket {
  let bucket = buckets.get(lane);
  if (!bucket) {
    bucket = new Bucket(rate, burst);
    buckets.set(lane, bucket);
  }
  bucket.rate = rate;
  return bucket;
}

/** A token bucket as nftables' `limit` has it: full at first, `rate` tokens a second, at most `burst`. */
class Bucket {
  rate: number;
  readonly #burst: number;
  #tokens: number;
  #at = Number.NEGATIVE_INFINITY;

  constructor(rate: number, burst: number) {
    this.rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
  }

  take(at: number): boolean {
    const seconds = Number.isFinite(this.#at) ? Math.max(0, at - this.#at) / 1000 : 0;
    this.#tokens = Math.min(this.#burst, this.#tokens + seconds * this.rate);
    this.#at = Math.max(this.#at, at);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
