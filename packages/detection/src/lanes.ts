import {
  type HostLaneClass,
  hostLane,
  type LaneId,
  type VpnLaneClass,
  type VpnPort,
  vpnLane,
} from "@flowtriq/protocol/lane";
import { REFLECTOR_PORTS } from "@flowtriq/protocol/reflector";
import { type Address, type Packet, PROTOCOL, TCP } from "./packet.ts";
import {
  openvpnShape,
  provesPeer,
  receiverIndex,
  type Shape,
  shapes,
  WIREGUARD,
  wireguardShape,
  wireguardType,
  word,
} from "./shapes.ts";

/** What our own outgoing packets have proved, and still holds. */
export interface Learned {
  /** Our server's VPN port has sent this address and port (or, for IPsec, this address) a packet that only genuine peers get. */
  isPeer(port: number, address: Address, sourcePort: number): boolean;
  /** A WireGuard index that we issued, or that a known peer uses: p4-7 read big-endian. */
  isIssued(index: number): boolean;
  /** A known peer used this index. */
  heard(index: number): void;
  /** We sent UDP to this reflector's port. */
  asked(address: Address, port: number): boolean;
  /** The host has a TCP connection with this address and port, or has just answered a request for one. */
  isConnected(address: Address, port: number, localPort: number): boolean;
  /** We sent a SYN there. */
  askedTcp(address: Address, port: number): boolean;
  /** We sent it this protocol (GRE, ESP, AH), or, for ESP, keep a security association with it. */
  protocolPeer(address: Address, protocol: number): boolean;
}

export interface LaneContext {
  ports: readonly VpnPort[];
  learned: Learned;
}

/**
 * The lane in which the kernel's rules count an incoming packet, tested in their order: VPN ports first (a first fragment
 * carries its ports), then the rest of the host. Undefined: the kernel counts it nowhere, as native ESP, AH and GRE of a peer.
 */
export function laneOf(packet: Packet, context: LaneContext): LaneId | undefined {
  const { protocol } = packet;
  const port =
    protocol === PROTOCOL.udp && packet.transport ? portFor(packet.destinationPort, "udp", context.ports) : undefined;
  if (port) return vpnLane(port, vpnClass(packet, port, context.learned));
  if (packet.fragmentOffset > 0 || packet.moreFragments) return hostLane("fragment");
  if (protocol === PROTOCOL.udp) return hostLane(udpClass(packet, context.learned));
  if (protocol === PROTOCOL.tcp) return tcpLane(packet, context);
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6) return hostLane("icmp");
  return context.learned.protocolPeer(packet.source, protocol)
    ? undefined
    : hostLane(PROTOCOL_LANES.get(protocol) ?? "protocol");
}

const PROTOCOL_LANES: ReadonlyMap<number, HostLaneClass> = new Map<number, HostLaneClass>([
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
  malformed: "malformed",
} satisfies Record<Shape, VpnLaneClass>;

function vpnClass(packet: Packet, port: VpnPort, learned: Learned): VpnLaneClass {
  const wireguard = port.protocol === "wireguard";
  const lenient = port.strictness === "lenient";
  const shape =
    port.protocol === "openvpn"
      ? openvpnShape(packet, lenient)
      : wireguard
        ? wireguardShape(packet, lenient)
        : shapes[port.protocol](packet);
  const type = wireguard ? wireguardType(packet, lenient) : 0;
  const index = wireguard ? receiverIndex(packet, lenient) : -1;
  if (type === 4 && learned.isIssued(index)) return "data";
  // Genuine clients open sessions too, so handshakes are counted by themselves whoever sends them.
  if (shape === "handshake" && port.protocol !== "l2tp") return "handshake";
  if (learned.isPeer(port.port, packet.source, packet.sourcePort)) {
    if (type === 4 && index >= 0) learned.heard(index);
    return "data";
  }
  // A response or cookie reply answers an initiation of ours, or is junk.
  if (type === 2 || type === 3) return shape === "control" && learned.isIssued(index) ? "control" : "malformed";
  return CLASS_OF_A_STRANGER[shape];
}

function udpClass(packet: Packet, learned: Learned): HostLaneClass {
  const reflector = packet.transport && REFLECTOR_PORTS.includes(packet.sourcePort);
  return reflector && !learned.asked(packet.source, packet.sourcePort) ? "reflected" : "udp";
}

function tcpLane(packet: Packet, { ports, learned }: LaneContext): LaneId {
  const { tcpFlags } = packet;
  if (isOpening(tcpFlags)) return hostLane("syn");
  if ((tcpFlags & (TCP.syn | TCP.ack)) === (TCP.syn | TCP.ack)) {
    return hostLane(learned.askedTcp(packet.source, packet.sourcePort) ? "tcp" : "synack");
  }
  const port = portFor(packet.destinationPort, "tcp", ports);
  if (port) {
    const connected = learned.isConnected(packet.source, packet.sourcePort, packet.destinationPort);
    return vpnLane(port, connected ? "data" : "unissued");
  }
  return hostLane(tcpFlags & TCP.rst ? "rst" : "tcp");
}

const isOpening = (flags: number) => (flags & (TCP.fin | TCP.syn | TCP.rst | TCP.ack)) === TCP.syn;

/** How long, in seconds, and how many entries; the kernel's sets have the same bounds. */
export const LEARNED_SETS = {
  // WireGuard rejects a session after 180 s (whitepaper 6.1), and so forgets its index.
  issued: { seconds: 240, size: 65_536 },
  heard: { seconds: 240, size: 65_536 },
  peers: { seconds: 300, size: 65_536 },
  connected: { seconds: 300, size: 65_536 },
  asked: { seconds: 60, size: 65_536 },
  askedTcp: { seconds: 120, size: 65_536 },
  ipsec: { seconds: 3_600, size: 65_536 },
  protocolPeers: { seconds: 300, size: 4_096 },
} as const;

/** What the kernel's learning rules know, kept from a capture's outgoing packets. Time only moves by what it is told. */
export class LearnedState implements Learned {
  readonly #ports: readonly VpnPort[];
  readonly #ipsecPorts: ReadonlySet<number>;
  readonly #issued = new TimedSet(LEARNED_SETS.issued);
  readonly #heard = new TimedSet(LEARNED_SETS.heard);
  readonly #ipsec = new TimedSet(LEARNED_SETS.ipsec);
  readonly #asked = new TimedSet(LEARNED_SETS.asked);
  readonly #askedTcp = new TimedSet(LEARNED_SETS.askedTcp);
  readonly #connected = new TimedSet(LEARNED_SETS.connected);
  readonly #protocolPeers = new TimedSet(LEARNED_SETS.protocolPeers);
  readonly #peers = new Map<number, TimedSet>();
  #now = 0;

  constructor(ports: readonly VpnPort[]) {
    this.#ports = ports;
    this.#ipsecPorts = new Set(ports.filter(isIpsec).map(({ port }) => port));
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
      this.#protocolPeers.add(endpoint(destination, protocol), now);
    }
    if (!packet.transport) return;
    if (protocol === PROTOCOL.tcp) {
      if (isOpening(packet.tcpFlags)) this.#askedTcp.add(endpoint(destination, destinationPort), now);
      // Segments that are no reset belong to a connection; a SYN-ACK answers a request for one.
      else if (!(packet.tcpFlags & TCP.rst)) this.#connected.add(connection(packet, destination), now);
    } else if (protocol === PROTOCOL.udp) {
      if (REFLECTOR_PORTS.includes(destinationPort)) this.#asked.add(endpoint(destination, destinationPort), now);
      const port = portFor(packet.sourcePort, "udp", this.#ports);
      if (port) this.#learnPeer(packet, port, now);
    }
  }

  #learnPeer(packet: Packet, port: VpnPort, now: number): void {
    if (!provesPeer(packet, port.protocol)) return;
    if (isIpsec(port)) this.#ipsec.add(packet.destination, now);
    this.#peers.get(port.port)?.add(endpoint(packet.destination, packet.destinationPort), now);
    if (port.protocol !== "wireguard") return;
    // What we send ourselves is of the protocol, whatever a network writes into its reserved octets.
    const type = wireguardType(packet, true);
    if (type !== 1 && type !== 2) return;
    const index = word(packet.payload, WIREGUARD.senderAt);
    if (index >= 0) this.#issued.add(index, now);
  }

  isPeer(port: number, address: Address, sourcePort: number): boolean {
    const peers = this.#peers.get(port);
    if (!peers) return false;
    if (peers.has(endpoint(address, sourcePort), this.#now)) return true;
    // A client moves from 500 to 4500, and a NAT gives it another port: for IPsec the address is enough.
    return this.#ipsecPorts.has(port) && this.#ipsec.has(address, this.#now);
  }
  isIssued(index: number): boolean {
    return this.#issued.has(index, this.#now) || this.#heard.has(index, this.#now);
  }
  heard(index: number): void {
    this.#heard.add(index, this.#now);
  }
  asked(address: Address, port: number): boolean {
    return this.#asked.has(endpoint(address, port), this.#now);
  }
  isConnected(address: Address, port: number, localPort: number): boolean {
    return this.#connected.has(`${endpoint(address, port)}:${localPort}`, this.#now);
  }
  askedTcp(address: Address, port: number): boolean {
    return this.#askedTcp.has(endpoint(address, port), this.#now);
  }
  protocolPeer(address: Address, protocol: number): boolean {
    if (this.#protocolPeers.has(endpoint(address, protocol), this.#now)) return true;
    return protocol === PROTOCOL.esp && this.#ipsec.has(address, this.#now);
  }
}

const connection = ({ destinationPort, sourcePort }: Packet, address: Address) =>
  `${endpoint(address, destinationPort)}:${sourcePort}`;
const isIpsec = (port: VpnPort) => port.protocol === "ike" || port.protocol === "ipsec_nat_t";

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
