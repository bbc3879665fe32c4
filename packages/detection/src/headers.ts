import { PROTOCOL } from "./packet.ts";

/**
 * Where the headers of a packet end: for captures that must not hold what people say to each other. These run on every packet
 * that is kept, so they look at the bytes where they are and make no objects.
 */

const MAX_EXTENSION_HEADERS = 12;
/** Fixed headers by protocol, octets; TCP's length is its own. Of ESP the index and the sequence number (RFC 4303 2). */
const FIXED: Readonly<Record<number, number>> = {
  [PROTOCOL.udp]: 8,
  [PROTOCOL.icmp]: 8,
  [PROTOCOL.icmp6]: 8,
  [PROTOCOL.esp]: 8,
  [PROTOCOL.ah]: 12,
  [PROTOCOL.gre]: 4,
  [PROTOCOL.sctp]: 12,
};

/**
 * Octets of the packet in `bytes[from, to)` that are headers, the transport's included, as its own fields say: it may be more than
 * there are. A later fragment has only its IP header. 0: not IP.
 */
export function headerLength(bytes: Uint8Array, from: number, to: number): number {
  const version = bytes[from]! >> 4;
  if (version === 4 && to - from >= 20) {
    const length = Math.max(20, (bytes[from]! & 15) * 4);
    const later = ((bytes[from + 6]! & 0x1f) | bytes[from + 7]!) !== 0;
    return later ? length : length + transportLength(bytes, from + length, to, bytes[from + 9]!);
  }
  if (version !== 6 || to - from < 40) return 0;
  let at = from + 40;
  let next = bytes[from + 6]!;
  for (let headers = 0; headers < MAX_EXTENSION_HEADERS && at + 8 <= to; headers++) {
    if (next === 44) {
      const later = (bytes[at + 2]! | (bytes[at + 3]! & 0xf8)) !== 0;
      next = bytes[at]!;
      at += 8;
      if (later) return at - from;
    } else if (next === 0 || next === 43 || next === 60) {
      next = bytes[at]!;
      at += (bytes[at + 1]! + 1) * 8;
    } else break;
  }
  return at - from + transportLength(bytes, at, to, next);
}

function transportLength(bytes: Uint8Array, at: number, to: number, protocol: number): number {
  if (protocol !== PROTOCOL.tcp) return FIXED[protocol] ?? 0;
  return at + 13 <= to ? Math.max(20, (bytes[at + 12]! >> 4) * 4) : 20;
}

/**
 * Octets of the packet on the wire, from its IP header on: as the header says when only its beginning is here (`cut`), else no more
 * than what came, because a header may claim anything. Less than what came means padding of the link.
 */
export function lengthOnWire(bytes: Uint8Array, from: number, to: number, cut: boolean): number {
  const here = to - from;
  const version = bytes[from]! >> 4;
  let said = 0;
  if (version === 4 && here >= 20) said = (bytes[from + 2]! << 8) | bytes[from + 3]!;
  else if (version === 6 && here >= 40) {
    // 0 is a jumbogram, or what a network card with segmentation offload shows.
    const payload = (bytes[from + 4]! << 8) | bytes[from + 5]!;
    said = payload === 0 ? 0 : payload + 40;
  }
  if (cut) return Math.max(said, here);
  return said >= 20 ? Math.min(said, here) : here;
}
