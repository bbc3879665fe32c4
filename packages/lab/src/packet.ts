import { isIP } from "node:net";
import type { Family } from "./namespaces.ts";
import type { Random } from "./random.ts";

/** A transport header with its payload, before an IP header is put around it. */
export interface Segment {
  protocol: number;
  bytes: Uint8Array;
  /** Where its checksum stands; absent if it has none (ESP, fragments). The checksum is filled in by `toPacket`. */
  checksumAt?: number;
  /** ICMP's own checksum leaves the addresses out; UDP, TCP and ICMPv6 include them. */
  coversAddresses?: boolean;
  /** Bytes that a sender changes before each repetition: [offset, length], both even. */
  vary: readonly (readonly [number, number])[];
  /** Source ports vary too, but stay at or above 1024. */
  varyPortAt?: number;
  /** Fragment header: offset in units of eight bytes. */
  fragment?: { offset: number; more: boolean; id: number };
}

/** An IP packet and where its changing parts are, in bytes from its start. */
export interface Packet {
  family: Family;
  bytes: Uint8Array;
  sourceAt: number;
  checksumAt?: number;
  coversAddresses: boolean;
  vary: (readonly [number, number])[];
  varyPortAt?: number;
}

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, esp: 50, ah: 51, icmpv6: 58 } as const;
const IPV6_FRAGMENT = 44;

export function udp(
  ports: { from: number; to: number; vary?: boolean },
  payload: Uint8Array,
  vary: Segment["vary"] = [],
): Segment {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ports.from);
  view.setUint16(2, ports.to);
  view.setUint16(4, bytes.length);
  bytes.set(payload, 8);
  return {
    protocol: PROTOCOL.udp,
    bytes,
    checksumAt: 6,
    vary: vary.map(([offset, length]) => [offset + 8, length]),
    ...(ports.vary ? { varyPortAt: 0 } : {}),
  };
}

/** The same from a fixed port, if one is given; only for what has ports. */
export function fromPort(segment: Segment, port: number | undefined): Segment {
  if (port === undefined) return segment;
  const { varyPortAt: _, ...fixed } = segment;
  const bytes = segment.bytes.slice();
  new DataView(bytes.buffer).setUint16(0, port);
  return { ...fixed, bytes };
}

export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

export function tcp(
  header: {
    from: number;
    to: number;
    flags: number;
    sequence: number;
    acknowledgement: number;
    window: number;
    vary?: boolean;
  },
  options: Uint8Array = new Uint8Array(0),
  payload: Uint8Array = new Uint8Array(0),
): Segment {
  const length = 20 + options.length;
  const bytes = new Uint8Array(length + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, header.from);
  view.setUint16(2, header.to);
  view.setUint32(4, header.sequence);
  view.setUint32(8, header.acknowledgement);
  view.setUint8(12, (length / 4) << 4);
  view.setUint8(13, header.flags);
  view.setUint16(14, header.window);
  bytes.set(options, 20);
  bytes.set(payload, length);
  return {
    protocol: PROTOCOL.tcp,
    bytes,
    checksumAt: 16,
    vary: [[4, 4]],
    ...(header.vary ? { varyPortAt: 0 } : {}),
  };
}

export function icmpEcho(family: Family, payload: Uint8Array): Segment {
  const bytes = new Uint8Array(8 + payload.length);
  bytes[0] = family === 4 ? 8 : 128;
  bytes.set(payload, 8);
  return {
    protocol: family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6,
    bytes,
    checksumAt: 2,
    coversAddresses: family === 6,
    vary: [[4, 4]],
  };
}

/** Puts an IPv4 or IPv6 header around a segment and fills in all checksums. */
export function toPacket(segment: Segment, source: Uint8Array, destination: Uint8Array, random: Random): Packet {
  const family = destination.length === 4 ? 4 : 6;
  const { fragment } = segment;
  const header = family === 4 ? 20 : fragment ? 48 : 40;
  const bytes = new Uint8Array(header + segment.bytes.length);
  const view = new DataView(bytes.buffer);
  // What is left of the usual starting values after a way through the internet.
  const ttl = random.pick([64, 128, 255]) - random.between(5, 25);
  if (family === 4) {
    bytes[0] = 0x45;
    view.setUint16(2, bytes.length);
    view.setUint16(4, fragment?.id ?? random.u32() & 0xffff);
    if (fragment) view.setUint16(6, (fragment.more ? 0x2000 : 0) | fragment.offset);
    bytes[8] = ttl;
    bytes[9] = segment.protocol;
  } else {
    view.setUint32(0, (6 << 28) | (random.u32() & 0xfffff));
    view.setUint16(4, bytes.length - 40);
    bytes[6] = fragment ? IPV6_FRAGMENT : segment.protocol;
    bytes[7] = ttl;
    if (fragment) {
      bytes[40] = segment.protocol;
      view.setUint16(42, (fragment.offset << 3) | (fragment.more ? 1 : 0));
      view.setUint32(44, fragment.id);
    }
  }
  const sourceAt = family === 4 ? 12 : 8;
  bytes.set(source, sourceAt);
  bytes.set(destination, sourceAt + source.length);
  bytes.set(segment.bytes, header);
  if (family === 4) view.setUint16(10, checksum(bytes.subarray(0, 20)));

  const coversAddresses = segment.coversAddresses ?? true;
  const checksumAt = segment.checksumAt === undefined ? undefined : header + segment.checksumAt;
  if (checksumAt !== undefined) {
    const start = coversAddresses ? pseudoHeaderSum(source, destination, segment.protocol, segment.bytes.length) : 0;
    const value = checksum(segment.bytes, start);
    // To UDP a zero means "none" (RFC 768).
    view.setUint16(checksumAt, value === 0 && segment.protocol === PROTOCOL.udp ? 0xffff : value);
  }
  return {
    family,
    bytes,
    sourceAt,
    ...(checksumAt === undefined ? {} : { checksumAt }),
    coversAddresses,
    vary: segment.vary.map(([offset, length]) => [offset + header, length] as const),
    ...(segment.varyPortAt === undefined ? {} : { varyPortAt: segment.varyPortAt + header }),
  };
}

/** The internet checksum (RFC 1071) of `bytes`, continued from `start`. */
export function checksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function pseudoHeaderSum(source: Uint8Array, destination: Uint8Array, protocol: number, length: number): number {
  return (~checksum(source) & 0xffff) + (~checksum(destination) & 0xffff) + protocol + length;
}

/** "192.0.2.1" or "2001:db8::1" to its 4 or 16 bytes. */
export function addressBytes(address: string): Uint8Array {
  const version = isIP(address);
  if (version === 4) return Uint8Array.from(address.split("."), Number);
  if (version !== 6 || address.includes(".") || address.includes("%")) throw new Error(`not an address: ${address}`);
  const [head = "", tail] = address.split("::");
  const words = (text: string) => text.split(":").filter(Boolean);
  const after = tail === undefined ? [] : words(tail);
  const all = [...words(head), ...Array<string>(8 - words(head).length - after.length).fill("0"), ...after];
  return Uint8Array.from(all.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]));
}

/** Some address of a prefix such as "2001:db8::/48", as bytes. */
export function addressIn(prefix: string, random: Random): Uint8Array {
  const [network = "", length] = prefix.split("/");
  const fixed = addressBytes(network);
  const free = random.bytes(fixed.length);
  return fixed.map((byte, index) => {
    const mask = 255 >> Math.min(8, Math.max(0, Number(length) - 8 * index));
    return (byte & ~mask) | (free[index]! & mask);
  });
}
