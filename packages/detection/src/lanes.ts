import {
  type HostLaneClass,
  hostLane,
  type LaneId,
  type VpnLaneClass,
  type VpnPort,
  vpnLane,
} from "@flowtriq/protocol/lane";
import { type Address, type Packet, PROTOCOL, TCP } from "./packet.ts";
import { REFLECTORS } from "./reflectors.ts";
import { provesPeer, receiverIndex, type Shape, shapes, WIREGUARD, word } from "./shapes.ts";

/** What our own outgoing packets have proved, and still holds. */
export interface Learned {
  /** Our server's VPN port has sent this address and port a packet that it sends to genuine peers only. */
  isPeer(port: number, address: Address, sourcePort: number): boolean;
  /** A WireGuard index that we issued: p4-7 read big-endian. */
  isIssued(index: number): boolean;
  /** We sent UDP to this reflector's port. */
  asked(address: Address, port: number): boolean;
  /** We sent a SYN there. */
  askedTcp(address: Address, port: number): boolean;
  /** We sent it native ESP, AH or GRE. */
  protocolPeer(address: Address): boolean;
}

export interface LaneContext {
  ports: readonly VpnPort[];
  learned: Learned;
}

/**
 * The lane in which the kernel's rules count an incoming packet. The order is theirs too: VPN ports first (a first fragment
 * carries its ports), then the rest of the host. A packet whose transport header is missing counts by its protocol.
 */
export function laneOf(packet: Packet, context: LaneContext): LaneId {
  const { protocol, fragmentOffset } = packet;
  if (fragmentOffset > 0) return hostLane("fragment");
  if (protocol === PROTOCOL.udp) {
    const port = packet.transport ? portFor(packet.destinationPort, "udp", context.ports) : undefined;
    return port ? vpnLane(port, vpnClass(packet, port, context.learned)) : hostLane(udpClass(packet, context.learned));
  }
  if (protocol === PROTOCOL.tcp) {
    const cls = tcpClass(packet, context.learned);
    const port = cls === "syn" ? undefined : portFor(packet.destinationPort, "tcp", context.ports);
    return port ? vpnLane(port, "data") : hostLane(cls);
  }
  return hostLane(PROTOCOL_LANES.get(protocol) ?? "protocol");
}

const PROTOCOL_LANES: ReadonlyMap<number, HostLaneClass> = new Map<number, HostLaneClass>([
  [PROTOCOL.icmp, "icmp"],
  [PROTOCOL.icmp6, "icmp"],
  [PROTOCOL.gre, "gre"],
  [PROTOCOL.esp, "esp"],
  [PROTOCOL.ah, "ah"],
]);

/** The declared VPN port, or undefined. */
export const portFor = (port: number, transport: VpnPort["transport"], ports: readonly VpnPort[]) =>
  ports.find((candidate) => candidate.port === port && candidate.transport === transport);

const CLASS_OF_A_STRANGER = {
  handshake: "handshake",
  control: "control",
  data: "unissued",
  // Harmless, and a client behind a NAT may send it from a port that we have never answered.
  keepalive: "data",
  malformed: "malformed",
} satisfies Record<Shape, VpnLaneClass>;

function vpnClass(packet: Packet, port: VpnPort, learned: Learned): VpnLaneClass {
  const shape = shapes[port.protocol](packet);
  // Genuine clients open sessions too, so handshakes are counted by themselves whoever sends them.
  if (shape === "handshake") return "handshake";
  const genuine =
    learned.isPeer(port.port, packet.source, packet.sourcePort) ||
    (port.protocol === "wireguard" && shape !== "malformed" && learned.isIssued(receiverIndex(packet)));
  if (genuine) return "data";
  // On a lenient port the shapes are not the protocol's own, so a strange one convicts nobody.
  if (shape === "malformed" && port.strictness === "lenient") return "unissued";
  return CLASS_OF_A_STRANGER[shape];
}

function udpClass(packet: Packet, learned: Learned): HostLaneClass {
  if (packet.moreFragments) return "fragment";
  const reflector = packet.transport && REFLECTORS.has(packet.sourcePort);
  return reflector && !learned.asked(packet.source, packet.sourcePort) ? "reflected" : "udp";
}

function tcpClass(packet: Packet, learned: Learned): HostLaneClass {
  const { tcpFlags } = packet;
  if (tcpFlags & TCP.syn) {
    if (!(tcpFlags & TCP.ack)) return "syn";
    return learned.askedTcp(packet.source, packet.sourcePort) ? "tcp" : "synack";
  }
  return tcpFlags & TCP.rst ? "rst" : "tcp";
}

/** How long, in seconds, and how many entries; the kernel's sets have the same bounds. */
export const LEARNED_SETS = {
  // WireGuard rejects a session after 180 s (whitepaper 6.1), and so forgets its index.
  issued: { seconds: 240, size: 65_536 },
  peers: { seconds: 300, size: 65_536 },
  asked: { seconds: 60, size: 65_536 },
  askedTcp: { seconds: 120, size: 65_536 },
  protocolPeers: { seconds: 300, size: 16_384 },
} as const;

/** What the kernel's learning rules know, kept from a capture's outgoing packets. Time only moves by what it is told. */
export class LearnedState implements Learned {
  readonly #ports: readonly VpnPort[];
  readonly #issued = new TimedSet(LEARNED_SETS.issued);
  readonly #asked = new TimedSet(LEARNED_SETS.asked);
  readonly #askedTcp = new TimedSet(LEARNED_SETS.askedTcp);
  readonly #protocolPeers = new TimedSet(LEARNED_SETS.protocolPeers);
  readonly #peers = new Map<number, TimedSet>();
  #now = 0;

  constructor(ports: readonly VpnPort[]) {
    this.#ports = ports;
    for (const { port, transport } of ports) {
      if (transport === "udp") this.#peers.set(port, new TimedSet(LEARNED_SETS.peers));
    }
  }

  /** Tells the time, in milliseconds: entries older than their set allows are gone. A step back is ignored. */
  advance(at: number): void {
    if (at > this.#now) this.#now = at;
  }

  /** Takes note of a packet that this host sends. */
  learn(packet: Packet, at: number): void {
    this.advance(at);
    const now = this.#now;
    const { protocol, destination, destinationPort } = packet;
    if (protocol === PROTOCOL.esp || protocol === PROTOCOL.ah || protocol === PROTOCOL.gre) {
      this.#protocolPeers.add(destination, now);
    }
    if (!packet.transport) return;
    if (protocol === PROTOCOL.tcp) {
      const opening = (packet.tcpFlags & (TCP.syn | TCP.ack)) === TCP.syn;
      if (opening) this.#askedTcp.add(endpoint(destination, destinationPort), now);
    } else if (protocol === PROTOCOL.udp) {
      if (REFLECTORS.has(destinationPort)) this.#asked.add(endpoint(destination, destinationPort), now);
      const port = portFor(packet.sourcePort, "udp", this.#ports);
      if (port) this.#learnPeer(packet, port, now);
    }
  }

  #learnPeer(packet: Packet, port: VpnPort, now: number): void {
    if (port.strictness !== "lenient" && !provesPeer(packet, port.protocol)) return;
    this.#peers.get(port.port)?.add(endpoint(packet.destination, packet.destinationPort), now);
    if (port.protocol !== "wireguard") return;
    const type = word(packet.payload, 0);
    if (type !== WIREGUARD.initiation.word && type !== WIREGUARD.response.word) return;
    const index = word(packet.payload, WIREGUARD.senderAt);
    if (index >= 0) this.#issued.add(index, now);
  }

  isPeer(port: number, address: Address, sourcePort: number): boolean {
    return this.#peers.get(port)?.has(endpoint(address, sourcePort), this.#now) ?? false;
  }
  isIssued(index: number): boolean {
    return this.#issued.has(index, this.#now);
  }
  asked(address: Address, port: number): boolean {
    return this.#asked.has(endpoint(address, port), this.#now);
  }
  askedTcp(address: Address, port: number): boolean {
    return this.#askedTcp.has(endpoint(address, port), this.#now);
  }
  protocolPeer(address: Address): boolean {
    return this.#protocolPeers.has(address, this.#now);
  }
}

/** Address and port as one Map key: below 2^48 for IPv4, nine UTF-16 units for IPv6. */
export const endpoint = (address: Address, port: number): number | string =>
  typeof address === "number" ? address * 65_536 + port : address + String.fromCharCode(port);

/** Keys that expire; when full it takes no new ones, as the kernel's sets do: spoofed traffic must not push genuine peers out. */
class TimedSet {
  readonly #expiry = new Map<number | string, number>();
  readonly #milliseconds: number;
  readonly #size: number;

  constructor({ seconds, size }: { seconds: number; size: number }) {
    this.#milliseconds = seconds * 1000;
    this.#size = size;
  }

  add(key: number | string, now: number): void {
    // A refreshed key moves to the end, so the oldest are always in front.
    if (!this.#expiry.delete(key) && this.#expiry.size >= this.#size) this.#forget(now);
    if (this.#expiry.size < this.#size) this.#expiry.set(key, now + this.#milliseconds);
  }

  has(key: number | string, now: number): boolean {
    return (this.#expiry.get(key) ?? 0) > now;
  }

  #forget(now: number): void {
    for (const [key, expiry] of this.#expiry) {
      if (expiry > now) return;
      this.#expiry.delete(key);
    }
  }
}
