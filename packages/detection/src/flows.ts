import type { VpnPort } from "@flowtriq/protocol/lane";
import { type Address, LINK, type Packet, PROTOCOL, readPacket, TCP } from "./packet.ts";
import { IKE, OPENVPN, WIREGUARD, word } from "./shapes.ts";

/** What one end of a conversation has been seen to send. */
interface Side {
  packets: number;
  /** More than anybody gets for asking: a datagram, or a segment of an open connection. */
  spoke: boolean;
  opened: boolean;
  /** TCP: sequence or acknowledgement moved forward within reach, as in a connection and not in a flood. */
  progress: boolean;
  sequence: number;
  acknowledgement: number;
}

const REACH = 2 ** 24;
/** Conversations of one capture that are remembered; later ones are judged as if nobody had answered them. */
const MAX_CONVERSATIONS = 200_000;

/**
 * The conversations of a whole capture, for telling what the host asked for, or answered as it answers only genuine peers, from
 * what nobody asked for. Note every packet first, in both directions; then ask. Live samples have no such view.
 */
export class Flows {
  readonly #sides = new Map<string, Side>();
  /** Group addresses and ports that somebody asked (SSDP, mDNS, WS-Discovery): any device may answer. */
  readonly #askedGroups = new Set<number>();

  note(packet: Packet): void {
    const key = keyOf(packet, false);
    let side = this.#sides.get(key);
    if (!side) {
      if (this.#sides.size >= MAX_CONVERSATIONS) return;
      side = { packets: 0, spoke: false, opened: false, progress: false, sequence: 0, acknowledgement: 0 };
      this.#sides.set(key, side);
    }
    if (packet.protocol === PROTOCOL.tcp && packet.transport) noteSegment(side, packet);
    else if (packet.protocol === PROTOCOL.icmp || packet.protocol === PROTOCOL.icmp6)
      side.spoke ||= isEchoRequest(packet);
    else if (!answersAnybody(packet)) side.spoke = true;
    side.packets++;
    if (packet.protocol === PROTOCOL.udp && packet.transport && isGroup(packet.destination)) {
      this.#askedGroups.add(packet.destinationPort);
    }
  }

  /** Whether the conversation that this packet belongs to is a genuine one. */
  explains(packet: Packet): boolean {
    const { protocol } = packet;
    if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6) return this.#explainsIcmp(packet);
    // Announcements and searches on the link, and streams that the network's routers were asked for.
    if (isMulticast(packet.destination) || (isGroup(packet.destination) && isLocal(packet.source))) return true;
    const other = this.#sides.get(keyOf(packet, true));
    if (protocol !== PROTOCOL.tcp || !packet.transport) {
      if (other?.spoke) return true;
      return (
        protocol === PROTOCOL.udp &&
        packet.transport &&
        this.#askedGroups.has(packet.sourcePort) &&
        isLocal(packet.source)
      );
    }
    const own = this.#sides.get(keyOf(packet, false));
    if (other?.opened) return true;
    // Both sides speak beyond the handshake; or the capture holds one direction, and it moves as a connection does.
    // Whoever opened a connection may reset it: a forger's own system does so for each answer that it gets.
    if (own?.opened && packet.tcpFlags & TCP.rst) return true;
    if (!own?.spoke) return false;
    return own.progress || (other?.spoke ?? false);
  }

  #explainsIcmp(packet: Packet): boolean {
    if (isEchoRequest(packet)) return false;
    const quoted = quotedPacket(packet);
    if (quoted) return this.#sides.has(keyOf(quoted, false)) || this.#sides.has(keyOf(quoted, true));
    if (isEchoReply(packet)) return this.#sides.get(keyOf(packet, true))?.spoke ?? false;
    // Neighbour discovery and its kin keep to the link (RFC 4861 11.2, RFC 2710 3, RFC 1256 3).
    return (packet.ttl === 255 || packet.ttl === 1) && isOfLink(packet);
  }
}

function noteSegment(side: Side, packet: Packet): void {
  const { tcpFlags, tcpSequence, tcpAcknowledgement } = packet;
  const syn = (tcpFlags & TCP.syn) !== 0;
  if (syn && !(tcpFlags & (TCP.ack | TCP.rst | TCP.fin))) side.opened = true;
  if (!syn && !(tcpFlags & TCP.rst) && tcpFlags & TCP.ack) side.spoke = true;
  if (side.packets > 0 && !(tcpFlags & TCP.rst)) {
    const step = (tcpSequence - side.sequence) >>> 0;
    const acked = (tcpAcknowledgement - side.acknowledgement) >>> 0;
    // An opening segment acknowledges nothing yet, so its first acknowledgement is any step.
    const acknowledges = side.acknowledgement === 0 ? 1 : acked;
    if (step < REACH && acknowledges < REACH && step + acknowledges > 0) side.progress = true;
  }
  side.sequence = tcpSequence;
  side.acknowledgement = tcpAcknowledgement;
}

/** Answers that a VPN server gives to strangers: they prove nothing about whom they go to. */
function answersAnybody({ protocol, payload, udpLength }: Packet): boolean {
  if (protocol !== PROTOCOL.udp) return false;
  const length = udpLength - 8;
  if (length === WIREGUARD.cookieReply.length && word(payload, 0) === WIREGUARD.cookieReply.word) return true;
  if (payload.length > 0 && payload[0]! >> 3 === OPENVPN.serverResetOpcode && length >= 14 && length <= 100)
    return true;
  const header = word(payload, 0) === 0 ? IKE.natT.markerLength : 0;
  const message = payload.subarray(header);
  return word(message, IKE.lengthAt) === length - header && length - header >= IKE.minLength && isIkeAnswer(message);
}

/**
 * What a responder sends to whoever asked. In version 2 the answer to IKE_SA_INIT, or a refusal in the clear; in version 1 it
 * chooses from the offered security associations (payload 1), or refuses with a notification (payload 11).
 */
export function isIkeAnswer(message: Uint8Array): boolean {
  const payload = message[IKE.nextPayloadAt];
  const exchange = message[IKE.exchangeAt];
  if (message[IKE.versionAt] === 0x20) {
    return (message[IKE.flagsAt]! & IKE.flags.response) !== 0 && (exchange === 34 || payload === 41);
  }
  const answered = word(message, IKE.responderSpiAt) !== 0 || word(message, IKE.responderSpiAt + 4) !== 0;
  return exchange === 5 ? payload === 11 : answered && payload === 1;
}

const isOfLink = ({ family, icmpType }: Packet) =>
  family === 6 ? (icmpType >= 130 && icmpType <= 137) || icmpType === 143 : icmpType === 9 || icmpType === 10;
const isEchoRequest = (packet: Packet) => packet.transport && packet.icmpType === (packet.family === 4 ? 8 : 128);
export const isEchoReply = (packet: Packet) => packet.transport && packet.icmpType === (packet.family === 4 ? 0 : 129);

/** The packet that an ICMP error is about. */
export function quotedPacket(packet: Packet): Packet | undefined {
  const { icmpType, transport, payload, family } = packet;
  const error = family === 4 ? [3, 4, 5, 11, 12].includes(icmpType) : icmpType >= 1 && icmpType <= 4;
  if (!transport || !error) return undefined;
  const quoted = readPacket(payload, LINK.raw);
  // Only eight octets of a quoted TCP header are certain (RFC 792): its ports.
  if (quoted?.protocol === PROTOCOL.tcp && !quoted.transport && quoted.payload.length >= 4) {
    const ports = word(quoted.payload, 0);
    return { ...quoted, sourcePort: ports >>> 16, destinationPort: ports & 0xffff };
  }
  return quoted;
}

/** One direction of a conversation. Later fragments and portless protocols go by address and protocol. */
function keyOf(packet: Packet, reverse: boolean): string {
  const { protocol, source, destination, sourcePort, destinationPort } = packet;
  return reverse
    ? `${protocol} ${destination} ${destinationPort} ${source} ${sourcePort}`
    : `${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}

const inPrefix = (address: number, prefix: number, bits: number) => address >>> (32 - bits) === prefix >>> (32 - bits);

const isMulticast = (address: Address) =>
  typeof address === "string" ? address.charCodeAt(0) >> 8 === 0xff : address >>> 28 === 14 || address === 0xffffffff;

/** Multicast, and what is a broadcast address in most networks. */
export const isGroup = (address: Address) =>
  isMulticast(address) || (typeof address === "number" && (address & 0xff) === 0xff);

/** Private, link-local and loopback addresses. */
export function isLocal(address: Address): boolean {
  if (typeof address === "string") {
    const first = address.charCodeAt(0);
    return first >> 9 === 0x7e || first >> 6 === 0x3fa || address === "\0\0\0\0\0\0\0\u0001";
  }
  return (
    inPrefix(address, 0x0a000000, 8) ||
    inPrefix(address, 0xac100000, 12) ||
    inPrefix(address, 0xc0a80000, 16) ||
    inPrefix(address, 0xa9fe0000, 16) ||
    inPrefix(address, 0x7f000000, 8)
  );
}

/** Addresses that no packet from the Internet can genuinely come from (RFC 6890): about 14 % of all IPv4 numbers. */
export function isBogon(address: Address): boolean {
  if (typeof address === "string") return address.charCodeAt(0) >> 13 !== 1;
  return (
    isLocal(address) ||
    address >>> 24 === 0 ||
    address >>> 28 >= 14 ||
    inPrefix(address, 0x64400000, 10) ||
    inPrefix(address, 0xc6120000, 15)
  );
}

/**
 * The protected host of a capture: the address with a part in most packets. Between the two ends of a conversation it is the one
 * that owns a VPN port; else the one that more different addresses write to; else the one whose own port is lower, as servers'
 * are, or that is pinged; else the one that receives more. Undefined when no address has a part in 60 % of the packets: a tap, or a flood over a
 * whole prefix.
 */
export function inferHost(packets: Iterable<Packet>, ports: readonly VpnPort[] = []): Address | undefined {
  const ends = new Map<
    Address,
    { packets: number; received: number; vpn: number; low: number; writers: Set<Address> }
  >();
  const vpnPorts = new Set(ports.map(({ port }) => port));
  let all = 0;
  const end = (address: Address) => {
    let found = ends.get(address);
    if (!found && ends.size < MAX_ENDS) {
      found = { packets: 0, received: 0, vpn: 0, low: 0, writers: new Set() };
      ends.set(address, found);
    }
    return found;
  };
  for (const packet of packets) {
    const { source, destination, sourcePort, destinationPort } = packet;
    if (isGroup(destination)) continue;
    all++;
    const from = end(source);
    const to = end(destination);
    if (from && source !== destination) {
      from.packets++;
      if (vpnPorts.has(sourcePort)) from.vpn++;
      if (sourcePort < destinationPort) from.low++;
    }
    if (to) {
      to.packets++;
      to.received++;
      if (vpnPorts.has(destinationPort)) to.vpn++;
      if (destinationPort < sourcePort || isEchoRequest(packet)) to.low++;
      if (to.writers.size < MAX_WRITERS) to.writers.add(source);
    }
  }
  const candidates = [...ends].filter(([, found]) => found.received > 0 && found.packets >= all * 0.6);
  candidates.sort(
    ([, a], [, b]) =>
      // A crowd that writes to one of them settles it; both ends of a site-to-site tunnel own the VPN's port.
      (a.writers.size > b.writers.size * 4 + 8 ? -1 : b.writers.size > a.writers.size * 4 + 8 ? 1 : 0) ||
      (Math.abs(a.vpn - b.vpn) > all * 0.1 ? b.vpn - a.vpn : 0) ||
      b.writers.size - a.writers.size ||
      (Math.abs(a.low - b.low) > all * 0.1 ? b.low - a.low : 0) ||
      b.received - a.received,
  );
  return candidates[0]?.[0];
}
const MAX_ENDS = 50_000;
const MAX_WRITERS = 256;
