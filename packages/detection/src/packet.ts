/** pcap link types that are read; anything else gives no packet. Values: https://www.tcpdump.org/linktypes.html */
export const LINK = {
  null: 0,
  ethernet: 1,
  ppp: 9,
  rawBsd: 12,
  raw: 101,
  loop: 108,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  nflog: 239,
  linuxCooked2: 276,
} as const;
/** A pcap link type, known or not: it comes from a file. */
export type LinkType = number;

/**
 * IPv4: the address as an unsigned 32-bit number. IPv6: eight UTF-16 units, one per group. Both are cheap to make and equal
 * exactly when the addresses are: Map keys, not text. See `addressText` and `parseAddress`.
 */
export type Address = number | string;

export const PROTOCOL = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  none: 59,
  ospf: 89,
  sctp: 132,
} as const;

export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

/**
 * One IP packet, as far as it was captured. Lengths come from the headers, never from the captured bytes: samples hold 128 bytes.
 * Numbers that a packet does not have are 0; `transport` tells whether the transport header was read.
 */
export interface Packet {
  family: 4 | 6;
  source: Address;
  destination: Address;
  /** IPv6: hop limit. */
  ttl: number;
  /** After the IPv6 extension headers. Authentication headers (51) are not skipped: the kernel stops there too. */
  protocol: number;
  /** Octets on the wire from the IP header on. */
  wireLength: number;
  /** Offset of this fragment in its packet, octets. */
  fragmentOffset: number;
  moreFragments: boolean;
  /** True when TCP, UDP or ICMP fields were captured; never for a later fragment. */
  transport: boolean;
  sourcePort: number;
  destinationPort: number;
  /** UDP length field: header + payload of the whole datagram, fragments included. */
  udpLength: number;
  tcpFlags: number;
  /** TCP header with options, octets. */
  tcpHeaderLength: number;
  tcpSequence: number;
  tcpAcknowledgement: number;
  tcpWindow: number;
  icmpType: number;
  icmpCode: number;
  /** A view of what follows the transport header (or the IP headers, where there is none), as captured. */
  payload: Uint8Array;
  /** Octets of payload on the wire, in this packet. */
  payloadLength: number;
}

const MAX_EXTENSION_HEADERS = 12;
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, pppoe: 0x8864 } as const;
const isVlan = (type: number) => type === 0x8100 || type === 0x88a8 || type === 0x9100;

/** Reads a frame down to the transport header. Undefined: not IP, or cut before the end of the IP header. */
export function readPacket(bytes: Uint8Array, linkType: LinkType, wireLength = bytes.length): Packet | undefined {
  const start = networkOffset(bytes, linkType);
  if (start < 0 || start >= bytes.length) return undefined;
  const version = bytes[start]! >> 4;
  if (version === 4) return readIpv4(bytes, start, wireLength - start);
  return version === 6 ? readIpv6(bytes, start, wireLength - start) : undefined;
}

const u16 = (bytes: Uint8Array, at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
const u32 = (bytes: Uint8Array, at: number) =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

/** Where the IP header begins, or -1. The version nibble is checked by the caller. */
export function networkOffset(bytes: Uint8Array, linkType: LinkType): number {
  switch (linkType) {
    case LINK.raw:
    case LINK.rawBsd:
    case LINK.ipv4:
    case LINK.ipv6:
      return 0;
    case LINK.ethernet:
      return afterEthertype(bytes, 12);
    case LINK.null:
    case LINK.loop:
      return 4;
    case LINK.ppp:
      return bytes.length > 1 && bytes[0] === 0xff && bytes[1] === 0x03 ? 4 : 2;
    case LINK.linuxCooked:
      return afterEthertype(bytes, 14);
    case LINK.linuxCooked2:
      return bytes.length < 20 || !isIp(u16(bytes, 0)) ? -1 : 20;
    case LINK.nflog:
      return nflogPayload(bytes);
    default:
      return -1;
  }
}

const isIp = (type: number) => type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6;

function afterEthertype(bytes: Uint8Array, offset: number): number {
  let at = offset;
  for (let tags = 0; tags < 4 && at + 2 <= bytes.length; tags++) {
    const type = u16(bytes, at);
    if (isIp(type)) return at + 2;
    if (type === ETHERTYPE.pppoe) {
      const ppp = at + 8;
      return ppp + 2 <= bytes.length && (u16(bytes, ppp) === 0x0021 || u16(bytes, ppp) === 0x0057) ? ppp + 2 : -1;
    }
    if (!isVlan(type)) return -1;
    at += 4;
  }
  return -1;
}

/** NFLOG: 4 octets, then attributes of length and type in host order, padded to 4; type 9 is the packet. */
function nflogPayload(bytes: Uint8Array): number {
  let at = 4;
  while (at + 4 <= bytes.length) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    const type = bytes[at + 2]! | (bytes[at + 3]! << 8);
    if (type === 9) return at + 4;
    if (length < 4) return -1;
    at += (length + 3) & ~3;
  }
  return -1;
}

function readIpv4(bytes: Uint8Array, start: number, wire: number): Packet | undefined {
  if (bytes.length < start + 20) return undefined;
  const header = (bytes[start]! & 0x0f) * 4;
  if (header < 20) return undefined;
  // 0 is what a network card with segmentation offload shows to a capture.
  const total = u16(bytes, start + 2) || wire;
  if (total < header) return undefined;
  const fragment = u16(bytes, start + 6);
  const packet = emptyPacket(4, u32(bytes, start + 12), u32(bytes, start + 16));
  packet.ttl = bytes[start + 8]!;
  packet.protocol = bytes[start + 9]!;
  packet.wireLength = total;
  packet.fragmentOffset = (fragment & 0x1fff) * 8;
  packet.moreFragments = (fragment & 0x2000) !== 0;
  readTransport(packet, bytes, start + header, start + total);
  return packet;
}

function readIpv6(bytes: Uint8Array, start: number, wire: number): Packet | undefined {
  if (bytes.length < start + 40) return undefined;
  const packet = emptyPacket(6, address6(bytes, start + 8), address6(bytes, start + 24));
  // 0 is a jumbogram or segmentation offload.
  const payloadLength = u16(bytes, start + 4);
  const total = payloadLength === 0 ? Math.max(40, wire) : 40 + payloadLength;
  packet.ttl = bytes[start + 7]!;
  packet.wireLength = total;
  let at = start + 40;
  let next = bytes[start + 6]!;
  for (let headers = 0; headers < MAX_EXTENSION_HEADERS; headers++) {
    if (next === 44) {
      if (at + 8 > bytes.length) break;
      const fragment = u16(bytes, at + 2);
      packet.fragmentOffset = fragment & 0xfff8;
      packet.moreFragments = (fragment & 1) !== 0;
      next = bytes[at]!;
      at += 8;
      if (packet.fragmentOffset > 0) break;
    } else if (next === 0 || next === 43 || next === 60) {
      if (at + 2 > bytes.length) break;
      next = bytes[at]!;
      at += (bytes[at + 1]! + 1) * 8;
    } else {
      break;
    }
  }
  packet.protocol = next;
  readTransport(packet, bytes, at, start + total);
  return packet;
}

const NOTHING = new Uint8Array(0);

function emptyPacket(family: 4 | 6, source: Address, destination: Address): Packet {
  return {
    family,
    source,
    destination,
    ttl: 0,
    protocol: 0,
    wireLength: 0,
    fragmentOffset: 0,
    moreFragments: false,
    transport: false,
    sourcePort: 0,
    destinationPort: 0,
    udpLength: 0,
    tcpFlags: 0,
    tcpHeaderLength: 0,
    tcpSequence: 0,
    tcpAcknowledgement: 0,
    tcpWindow: 0,
    icmpType: 0,
    icmpCode: 0,
    payload: NOTHING,
    payloadLength: 0,
  };
}

/** `end` is where the headers say the packet ends: before the captured end (Ethernet padding) or after it (a sample). */
function readTransport(packet: Packet, bytes: Uint8Array, at: number, end: number): void {
  const captured = Math.min(bytes.length, end);
  let header = 0;
  if (packet.fragmentOffset === 0) {
    const { protocol } = packet;
    if (protocol === PROTOCOL.udp && at + 8 <= captured) {
      packet.sourcePort = u16(bytes, at);
      packet.destinationPort = u16(bytes, at + 2);
      packet.udpLength = u16(bytes, at + 4);
      packet.transport = true;
      header = 8;
    } else if (protocol === PROTOCOL.tcp && at + 20 <= captured) {
      packet.sourcePort = u16(bytes, at);
      packet.destinationPort = u16(bytes, at + 2);
      packet.tcpSequence = u32(bytes, at + 4);
      packet.tcpAcknowledgement = u32(bytes, at + 8);
      packet.tcpHeaderLength = (bytes[at + 12]! >> 4) * 4;
      packet.tcpFlags = bytes[at + 13]!;
      packet.tcpWindow = u16(bytes, at + 14);
      packet.transport = true;
      header = Math.max(20, packet.tcpHeaderLength);
    } else if ((protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6) && at + 8 <= captured) {
      packet.icmpType = bytes[at]!;
      packet.icmpCode = bytes[at + 1]!;
      packet.transport = true;
      header = 8;
    }
  }
  packet.payloadLength = Math.max(0, end - at - header);
  if (at + header < captured) packet.payload = bytes.subarray(at + header, captured);
}

const address6 = (bytes: Uint8Array, at: number): string =>
  String.fromCharCode(
    u16(bytes, at),
    u16(bytes, at + 2),
    u16(bytes, at + 4),
    u16(bytes, at + 6),
    u16(bytes, at + 8),
    u16(bytes, at + 10),
    u16(bytes, at + 12),
    u16(bytes, at + 14),
  );

/** Canonical text: dotted IPv4, or IPv6 by RFC 5952. */
export function addressText(address: Address): string {
  if (typeof address === "number") {
    return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => address.charCodeAt(i));
  let run = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > run.length) run = { at, length };
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  return run.at < 0 ? text(groups) : `${text(groups.slice(0, run.at))}::${text(groups.slice(run.at + run.length))}`;
}

/** The inverse of `addressText`, for addresses that configurations and other programs print. Undefined: not an address. */
export function parseAddress(text: string): Address | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    return parts.every((part) => part < 256) ? parts.reduce((sum, part) => sum * 256 + part, 0) : undefined;
  }
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || !text.includes(":")) return undefined;
  const dotted = text.match(/^(.*:)(\d+\.\d+\.\d+\.\d+)$/);
  const tail = dotted ? parseAddress(dotted[2]!) : undefined;
  if (dotted && typeof tail !== "number") return undefined;
  const plain =
    typeof tail === "number" ? `${dotted![1]}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}` : text;
  const halves = plain.split("::");
  if (halves.length > 2) return undefined;
  const [head, rest] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head!.length - (rest?.length ?? 0);
  if (rest ? missing < 1 : missing !== 0) return undefined;
  const groups = rest ? [...head!, ...Array<string>(missing).fill("0"), ...rest] : head!;
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return String.fromCharCode(...groups.map((group) => Number.parseInt(group, 16)));
}

/** Key of the network that an address belongs to: IPv4 /24, IPv6 /48. */
export const prefixOf = (address: Address): Address =>
  typeof address === "number" ? (address & 0xffffff00) >>> 0 : address.slice(0, 3);
