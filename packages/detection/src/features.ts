import type { Profile } from "@flowtriq/protocol/event";
import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { REFLECTOR_PORTS } from "@flowtriq/protocol/reflector";
import { Flows, inferHost, isBogon, isLocal } from "./flows.ts";
import {
  dnsQuestion,
  isNtpControl,
  type Kind,
  kindOf,
  ordinaryProtocol,
  resembledAnswers,
  vectorOfAnswer,
} from "./kinds.ts";
import { checkMac1, type Mac1Key } from "./mac1.ts";
import { type Address, addressText, type Packet, PROTOCOL, prefixOf } from "./packet.ts";
import type { Pieces } from "./pieces.ts";
import { isSessionLane, Sequences } from "./sequences.ts";
import { udpPayloadLength, word } from "./shapes.ts";

export { inferHost } from "./flows.ts";

/** What the classifier may know beside the samples. */
export interface SampleContext {
  ports: readonly VpnPort[];
  /** By UDP port. */
  mac1Keys?: ReadonlyMap<number, Mac1Key>;
  /** Set where every packet of some stretch of time is added, so that rates can be read from their times. */
  complete?: boolean;
  /** Both directions of the capture, noted beforehand. */
  flows?: Flows;
  /** First pieces of answers, wherever they went. */
  pieces?: Pieces;
  /** The capture holds what the host sent, so what it did not ask for is known. */
  twoWay?: boolean;
}

/** One kept sample: a packet boiled down to what the signatures look at. */
export interface Sample {
  kind: Kind;
  lane: LaneId | undefined;
  /** How many packets on the wire it stands for; `grouped` fills it in. */
  packets: number;
  at: number;
  source: Address;
  destination: Address;
  sourcePort: number;
  destinationPort: number;
  ttl: number;
  wireLength: number;
  payloadLength: number;
  /** Hash of the first 64 octets of payload, or of the fields that a flood's packets share. */
  mark: number;
  /** A name inside the packet: DNS question, WireGuard receiver or sender index, SPI, ICMP id. -1: none. */
  token: number;
  /** A counter inside the packet: TCP sequence, ESP or AH sequence, WireGuard counter. */
  counter: number;
  /** TCP window, options and flags as one number; 0 for others. */
  fingerprint: number;
  optionless: boolean;
  /** Content that hardly anybody asks for: DNS ANY or RRSIG, NTP mode 6 or 7. */
  abusive: boolean;
  /** The first octet of payload; -1: none. */
  head: number;
  /** The answers that a plain datagram could be, were its source port the service's. */
  resembled: number;
  /** Name of the ordinary protocol that it speaks. */
  speaks: string | undefined;
  mac1: boolean | undefined;
  moreFragments: boolean;
}

/** What counters know of traffic that samples only show a part of. */
export interface Course {
  pps: number;
  /** How many times the lane's threshold that is. */
  times: number;
  /** Handshakes that were begun, and the server's packets that only finished ones get. */
  handshakes?: { opened: number; finished: number };
  /** Why they must be those of clients who come back, whether or not the server finishes them. */
  comeback?: string;
}

const MAX_SAMPLES = 1024;
const MAX_KEYS = 2048;
const MAX_MAC1_CHECKS = 64;
/** The first few of a kind are checked one by one; after that every fourth, so that a judgement waits for no arithmetic. */
const FIRST_MAC1_CHECKS = 12;

/**
 * A picture of sampled traffic towards the host, built sample by sample in bounded memory. Packets that are explained (asked for,
 * answered, of a proved peer) are counted only; of the others at most 1,024 are kept, spread evenly over all that came.
 */
export class Summary {
  readonly context: SampleContext;
  /** Packets added. */
  samples = 0;
  explained = 0;
  course: Course | undefined;
  /** Packets added by the lane that they were counted in, where the caller said. */
  readonly lanes = new Map<LaneId, number>();
  /** What the lanes have counted meanwhile, where somebody knows: a lane of few hands up as many samples as one of many. */
  counted: ReadonlyMap<LaneId, number> | undefined;
  readonly totals = new Map<Kind, number>();
  /** Explained packets by kind. */
  readonly genuine = new Map<Kind, number>();
  kept: Sample[] = [];
  /** Those of proved sessions: explained, unless they contradict one another. */
  readonly sequences = new Sequences();
  readonly sources = new TopKeys<Address>();
  readonly sourcePorts = new TopKeys<number>();
  readonly destinationPorts = new TopKeys<number>();
  readonly lengths = new TopKeys<number>();
  readonly ttls = new TopKeys<number>();
  readonly #seen = new Uint8Array(4096);
  readonly #receiverIndices = new Set<number>();
  #stride = 1;
  #octets = 0;
  #mac1Checks = 0;

  constructor(context: SampleContext) {
    this.context = context;
  }

  /** Takes one packet towards the host. `lane` is the kernel's word on it; `at` in milliseconds. */
  add(packet: Packet, at: number, lane?: LaneId): void {
    const order = this.samples++;
    this.#octets += packet.wireLength;
    this.sources.add(packet.source);
    this.lengths.add(packet.wireLength);
    this.ttls.add(packet.ttl);
    if (packet.transport && packet.protocol !== PROTOCOL.icmp && packet.protocol !== PROTOCOL.icmp6) {
      this.sourcePorts.add(packet.sourcePort);
      this.destinationPorts.add(packet.destinationPort);
    }
    const hash = hashAddress(packet.source) & 0x7fff;
    this.#seen[hash >> 3]! |= 1 << (hash & 7);
    if (lane) this.lanes.set(lane, (this.lanes.get(lane) ?? 0) + 1);
    const { flows, ports } = this.context;
    const kind = kindOf(packet, ports, lane);
    if (kind === "wireguard_data" && this.#receiverIndices.size < MAX_KEYS) {
      this.#receiverIndices.add(word(packet.payload, 4));
    }
    if (lane && isSessionLane(lane)) this.sequences.add(packet, ports, () => this.#sampleOf(packet, at, kind, lane));
    if ((lane && isProved(lane, packet, kind)) || flows?.explains(packet)) {
      this.explained++;
      this.genuine.set(kind, (this.genuine.get(kind) ?? 0) + 1);
      return;
    }
    this.totals.set(kind, (this.totals.get(kind) ?? 0) + 1);
    const begun = packet.moreFragments && packet.fragmentOffset === 0 ? vectorOfAnswer[kind] : undefined;
    if (begun) this.context.pieces?.note(packet.source, begun, at);
    // An even spread without randomness: which samples stay is decided by a hash of their order.
    if (((Math.imul(order, 0x9e3779b1) >>> 12) & (this.#stride - 1)) !== 0) return;
    this.kept.push(this.#sampleOf(packet, at, kind, lane));
    if (this.kept.length < MAX_SAMPLES) return;
    this.#stride *= 2;
    this.kept = this.kept.filter((_, i) => i % 2 === 0);
  }

  #sampleOf(packet: Packet, at: number, kind: Kind, lane: LaneId | undefined): Sample {
    const { payload } = packet;
    const tcp = packet.protocol === PROTOCOL.tcp && packet.transport;
    const question = kind === "dns_answer" ? dnsQuestion(payload) : undefined;
    return {
      kind,
      lane,
      packets: 1,
      at,
      source: packet.source,
      destination: packet.destination,
      sourcePort: packet.sourcePort,
      destinationPort: packet.destinationPort,
      ttl: packet.ttl,
      wireLength: packet.wireLength,
      payloadLength: packet.payloadLength,
      mark: hashBytes(payload, 64),
      token: question ? question.hash : tokenOf(packet, kind),
      counter: tcp ? packet.tcpSequence : counterOf(packet, kind),
      fingerprint: tcp ? fingerprintOf(packet) : 0,
      optionless: tcp && packet.tcpHeaderLength <= 20,
      abusive: question ? ABUSED_TYPES.has(question.type) : kind === "ntp_answer" && isNtpControl(packet),
      head: payload[0] ?? -1,
      resembled: kind === "udp" || kind === "service_answer" ? resembledAnswers(packet) : 0,
      speaks: kind === "udp" || kind === "service_answer" ? ordinaryProtocol(packet) : undefined,
      mac1: this.#mac1(packet, kind),
      moreFragments: packet.moreFragments,
    };
  }

  #mac1(packet: Packet, kind: Kind): boolean | undefined {
    const key = this.context.mac1Keys?.get(packet.destinationPort);
    if (kind !== "wireguard_handshake" || !key || this.#mac1Checks >= MAX_MAC1_CHECKS) return undefined;
    if (this.#mac1Checks >= FIRST_MAC1_CHECKS && this.context.complete !== true && this.samples % 4 !== 0)
      return undefined;
    this.#mac1Checks++;
    return checkMac1(packet.payload, udpPayloadLength(packet), key);
  }

  /** Unexplained packets of a kind, all that came. */
  total(kind: Kind): number {
    return this.totals.get(kind) ?? 0;
  }
  /** How many packets on the wire one that was added from this lane stands for. */
  weightOf(lane: LaneId | undefined): number {
    const added = lane === undefined ? undefined : this.lanes.get(lane);
    const counted = lane === undefined ? undefined : this.counted?.get(lane);
    return added === undefined || counted === undefined ? 1 : Math.max(1, counted / added);
  }
  get unexplained(): number {
    return this.samples - this.explained;
  }
  /** Handshakes of which somebody looked at the mac1. */
  get mac1Checks(): number {
    return this.#mac1Checks;
  }
  get meanWireLength(): number {
    return this.samples === 0 ? 0 : this.#octets / this.samples;
  }
  get distinctReceiverIndices(): number {
    return this.#receiverIndices.size;
  }
  /** Linear counting (Whang 1990) over 32,768 bits: within 2 % up to some 50,000 sources. */
  get distinctSources(): number {
    if (!this.sources.overflowed) return this.sources.size;
    const bits = this.#seen.length * 8;
    let zeros = 0;
    for (const octet of this.#seen) for (let bit = 0; bit < 8; bit++) if (!(octet & (1 << bit))) zeros++;
    return Math.round(bits * Math.log(bits / Math.max(zeros, 1)));
  }
}

/** DNS types that clients hardly ask for and attackers like, because their answers are long: TXT, RRSIG, DNSKEY, ANY. */
const ABUSED_TYPES: ReadonlySet<number> = new Set([16, 46, 48, 255]);

/** The lane says that the host asked for it, or that its own packets have proved the sender. */
function isProved(lane: LaneId, packet: Packet, kind: Kind): boolean {
  if (isSessionLane(lane)) return true;
  if (lane === "host:udp") return REFLECTOR_PORTS.includes(packet.sourcePort);
  return lane === "host:tcp" && kind === "synack";
}

/** The picture of a whole capture: its packets are noted first, then those towards the host are added. */
export function summarizeCapture(
  packets: Iterable<{ at: number; packet: Packet }>,
  context: SampleContext,
  host: Address | undefined = inferHost(packetsOf(packets), context.ports),
): Summary {
  const flows = new Flows();
  let all = 0;
  let sent = 0;
  for (const { packet } of packets) {
    flows.note(packet);
    all++;
    if (packet.source === host) sent++;
  }
  const summary = new Summary({ ...context, complete: true, flows, twoWay: sent > all * 0.05 });
  for (const { at, packet } of packets) {
    if (host === undefined || packet.destination === host) summary.add(packet, at);
  }
  return summary;
}

function* packetsOf(timed: Iterable<{ packet: Packet }>): Generator<Packet> {
  for (const { packet } of timed) yield packet;
}

function tokenOf(packet: Packet, kind: Kind): number {
  const { payload } = packet;
  switch (kind) {
    case "wireguard_handshake":
    case "wireguard_data":
      return word(payload, 4);
    case "openvpn_handshake":
    case "openvpn_control":
      return word(payload, 1);
    case "openvpn_data":
      return word(payload, 0) & 0xffffff;
    case "esp":
    case "ike_handshake":
    case "ike_control":
    case "esp_in_udp":
      return word(payload, 0);
    case "ah":
      return word(payload, 4);
    case "gre":
      return word(payload, 0) >>> 16;
    default:
      return -1;
  }
}

function counterOf({ payload }: Packet, kind: Kind): number {
  switch (kind) {
    case "wireguard_data":
      // Little-endian; the upper half stays zero for the first four billion packets of a session.
      return word(payload, 12) === 0 ? swap(word(payload, 8)) : -1;
    case "esp":
    case "esp_in_udp":
      return word(payload, 4);
    case "ah":
      return word(payload, 8);
    default:
      return -1;
  }
}

const swap = (value: number) =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;

/** Window, header length and flags: what one tool's packets share and a crowd's do not. Options themselves are not kept. */
const fingerprintOf = (packet: Packet) =>
  (packet.tcpWindow | (packet.tcpHeaderLength << 16) | ((packet.tcpFlags & 0x3f) << 22)) >>> 0;

function hashBytes(data: Uint8Array, limit: number): number {
  let hash = 0x811c9dc5;
  const end = Math.min(data.length, limit);
  for (let at = 0; at < end; at++) hash = Math.imul(hash ^ data[at]!, 0x01000193);
  return (hash ^ end) >>> 0;
}

function hashAddress(address: Address): number {
  let hash = typeof address === "number" ? address : 0x811c9dc5;
  if (typeof address === "string") {
    for (let at = 0; at < address.length; at++) hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** Counts by key in bounded memory: when full, the keys that came once make room. */
export class TopKeys<K> {
  readonly counts = new Map<K, number>();
  total = 0;
  overflowed = false;

  add(key: K): void {
    this.total++;
    const known = this.counts.get(key);
    if (known !== undefined) this.counts.set(key, known + 1);
    else if (this.counts.size < MAX_KEYS) this.counts.set(key, 1);
    else {
      this.overflowed = true;
      // Pruning is rare: it frees most of a flood's keys at once, and the odd newcomer is let go.
      if (this.total % MAX_KEYS === 0) for (const [old, count] of this.counts) if (count === 1) this.counts.delete(old);
    }
  }
  get size(): number {
    return this.counts.size;
  }
  /** Share of the commonest key. */
  get top(): number {
    let most = 0;
    for (const count of this.counts.values()) if (count > most) most = count;
    return this.total === 0 ? 0 : most / this.total;
  }
  shares(text: (key: K) => string): { key: string; share: number }[] {
    return [...this.counts]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 10)
      .map(([key, count]) => ({ key: text(key), share: Math.round((count / this.total) * 1e4) / 1e4 }));
  }
}

export function toProfile(summary: Summary): Profile {
  const text = String;
  return {
    samples: summary.samples,
    sources: summary.sources.shares(addressText),
    distinctSources: summary.distinctSources,
    sourcePorts: summary.sourcePorts.shares(text),
    destinationPorts: summary.destinationPorts.shares(text),
    lengths: summary.lengths.shares(text),
    ttls: summary.ttls.shares(text),
    spoofed: spoofed(summary),
  };
}

/**
 * Whether the sources are made up. Reflectors are real machines, and so is whoever carries on a conversation; made-up IPv4
 * sources fall into ranges that no packet can come from, or come from everywhere with the same few TTLs.
 */
function spoofed(summary: Summary): Profile["spoofed"] {
  const kept = [...summary.kept, ...(summary.sequences.contradictions?.samples ?? [])];
  const answers = kept.filter(({ kind }) => vectorOfAnswer[kind] !== undefined || kind === "synack").length;
  if (kept.length < 20) return summary.explained > summary.samples / 2 ? "no" : "unknown";
  if (answers > kept.length / 2) return "no";
  const sources = new Set(kept.map(({ source }) => source));
  const bogons = [...sources].filter((source) => isBogon(source) && !isLocal(source)).length;
  const perSource = kept.length / sources.size;
  if (sources.size >= 20 && perSource < 3) {
    const prefixes = new Set([...sources].map(prefixOf)).size;
    const ttls = new TopKeys<number>();
    for (const { ttl } of kept) ttls.add(ttl);
    const three = ttls
      .shares(String)
      .slice(0, 3)
      .reduce((sum, { share }) => sum + share, 0);
    if (bogons >= 3 && bogons > sources.size * 0.03) return "yes";
    if (prefixes > sources.size * 0.8 && three > 0.9) return "yes";
    return "unknown";
  }
  return perSource >= 10 && bogons === 0 ? "no" : "unknown";
}
