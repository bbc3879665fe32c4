import { type Address, PROTOCOL } from "../src/packet.ts";

/** Packets written by hand, from the IP header on, for tests and for generated traffic. */
export interface Ip {
  from: Address;
  to: Address;
  ttl?: number;
  id?: number;
  /** Octets; a multiple of 8. */
  fragmentOffset?: number;
  moreFragments?: boolean;
}

export const bytes = (...parts: (number | string | Uint8Array | readonly number[])[]): Uint8Array => {
  const arrays = parts.map((part) =>
    typeof part === "number" ? [part] : typeof part === "string" ? new TextEncoder().encode(part) : part,
  );
  const all = new Uint8Array(arrays.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of arrays) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

export const be16 = (value: number): number[] => [(value >>> 8) & 255, value & 255];
export const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)];

export function ip(header: Ip, protocol: number, payload: Uint8Array): Uint8Array {
  return typeof header.from === "number" ? ip4(header, protocol, payload) : ip6(header, protocol, payload);
}

function ip4(header: Ip, protocol: number, payload: Uint8Array): Uint8Array {
  const fragment = ((header.fragmentOffset ?? 0) >> 3) | (header.moreFragments ? 0x2000 : 0);
  const packet = bytes(
    [0x45, 0, ...be16(20 + payload.length), ...be16(header.id ?? 1), ...be16(fragment)],
    [header.ttl ?? 64, protocol, 0, 0, ...be32(header.from as number), ...be32(header.to as number)],
    payload,
  );
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += (packet[at]! << 8) | packet[at + 1]!;
  sum = (sum & 0xffff) + (sum >>> 16);
  packet.set(be16(~(sum + (sum >>> 16)) & 0xffff), 10);
  return packet;
}

function ip6(header: Ip, protocol: number, payload: Uint8Array): Uint8Array {
  // Unit by unit: two of them may look like one character.
  const groups = (address: Address) =>
    Array.from({ length: 8 }, (_, i) => be16((address as string).charCodeAt(i))).flat();
  const offset = header.fragmentOffset ?? 0;
  const split = offset > 0 || header.moreFragments;
  const extension = split
    ? [protocol, 0, ...be16(offset | (header.moreFragments ? 1 : 0)), ...be32(header.id ?? 1)]
    : [];
  return bytes(
    [0x60, 0, 0, 0, ...be16(extension.length + payload.length), split ? 44 : protocol, header.ttl ?? 64],
    groups(header.from),
    groups(header.to),
    extension,
    payload,
  );
}

export interface Datagram extends Ip {
  sport: number;
  dport: number;
  payload: Uint8Array;
  /** UDP length field, where it is not that of the payload (a first fragment). */
  udpLength?: number;
}

export const udp = (packet: Datagram): Uint8Array =>
  ip(
    packet,
    PROTOCOL.udp,
    bytes(
      [...be16(packet.sport), ...be16(packet.dport), ...be16(packet.udpLength ?? 8 + packet.payload.length), 0, 0],
      packet.payload,
    ),
  );

export interface Segment extends Ip {
  sport: number;
  dport: number;
  flags: number;
  seq?: number;
  ack?: number;
  window?: number;
  /** A multiple of 4 octets. */
  options?: Uint8Array;
  payload?: Uint8Array;
}

export const tcp = (packet: Segment): Uint8Array => {
  const options = packet.options ?? new Uint8Array(0);
  return ip(
    packet,
    PROTOCOL.tcp,
    bytes(
      [...be16(packet.sport), ...be16(packet.dport), ...be32(packet.seq ?? 1), ...be32(packet.ack ?? 0)],
      [((20 + options.length) / 4) << 4, packet.flags, ...be16(packet.window ?? 64240), 0, 0, 0, 0],
      options,
      packet.payload ?? new Uint8Array(0),
    ),
  );
};

export const icmp = (packet: Ip & { type: number; code?: number; payload: Uint8Array }): Uint8Array =>
  ip(
    packet,
    typeof packet.from === "number" ? PROTOCOL.icmp : PROTOCOL.icmp6,
    bytes([packet.type, packet.code ?? 0, 0, 0, 0, 1, 0, 1], packet.payload),
  );

/** An Ethernet frame; `tags` are VLAN ids, outermost first. */
export const ethernet = (packet: Uint8Array, tags: number[] = []): Uint8Array =>
  bytes(
    new Uint8Array(12),
    tags.flatMap((id, i) => [...be16(i < tags.length - 1 ? 0x88a8 : 0x8100), ...be16(id)]),
    packet[0]! >> 4 === 4 ? [0x08, 0x00] : [0x86, 0xdd],
    packet,
  );
