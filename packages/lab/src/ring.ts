import { type AttackName, attacks } from "./attacks.ts";
import type { Family } from "./namespaces.ts";
import { addressBytes, addressIn, fromPort, type Packet, PROTOCOL, toPacket } from "./packet.ts";
import { createRandom, type Random } from "./random.ts";

/** Whom the packets say they come from. `random` is any public unicast address, another one for each packet. */
export type Sources = "random" | { count: number } | { address: string } | { prefix: string };

export interface RingOptions {
  attack: AttackName;
  family: Family;
  port?: number;
  sources: Sources;
  seed: number;
  destination: string;
  /** A prefix to be spread over instead: each frame goes to some address of it. */
  destinations?: string;
  sourceMac: string;
  destinationMac: string;
  serverPublicKey?: string;
  recorded?: string[];
  /** The port that all packets come from, instead of the attack's own choice. */
  sourcePort?: number;
  /** At most so many packets and bytes are built; sending goes round, with fresh sources and contents each time. */
  slots: number;
  maxBytes?: number;
}

/** Ready-made Ethernet frames that can be made new in a few nanoseconds. */
export interface Ring {
  bytes: Uint8Array;
  slots: number;
  /** Start and length of each frame in `bytes`. */
  offset: Uint32Array;
  length: Uint32Array;
  /**
   * Gives one frame a new source and new contents, checksums kept right, and writes the packet's number in the flood into it:
   * its low 16 bits, into the IPv4 identification or the low half of the IPv6 flow label. Those from 65,280 on all carry
   * 0xff.., so that the first 65,280 of a flood can be told apart by anyone who counts them.
   */
  renew(slot: number, number: number): void;
}

/** Packets whose number has its high byte below this are told apart by it. */
export const ORDERED_PACKETS = 0xff00;
/** Of a prefix so many addresses are drawn: as many as a /48 has networks of 64 bits. */
const OF_PREFIX = 65_536;
const ETHERNET = 14;

export function createRing(options: RingOptions): Ring {
  const { family } = options;
  const random = createRandom(options.seed);
  const sources = sourceTable(options.sources, family, random);
  const packets = buildPackets(options, random);
  const stride = (packet: Packet) => (ETHERNET + packet.bytes.length + 7) & ~7;
  const bytes = new Uint8Array(packets.reduce((sum, packet) => sum + stride(packet), 0));
  const offset = new Uint32Array(packets.length);
  const length = new Uint32Array(packets.length);
  const mac = (text: string) => text.split(":").map((part) => Number.parseInt(part, 16));
  const header = [...mac(options.destinationMac), ...mac(options.sourceMac), ...(family === 4 ? [8, 0] : [0x86, 0xdd])];
  let end = 0;
  packets.forEach((packet, slot) => {
    offset[slot] = end;
    length[slot] = ETHERNET + packet.bytes.length;
    bytes.set(header, end);
    bytes.set(packet.bytes, end + ETHERNET);
    end += stride(packet);
  });
  return { bytes, slots: packets.length, offset, length, renew: renewer(bytes, offset, packets, sources, random) };
}

/** The first `count` frames of a flood, as the sender sends them. */
export function* frames(options: Omit<RingOptions, "slots">, count: number): Generator<Uint8Array> {
  const ring = createRing({ ...options, slots: Math.min(count, 32_768) });
  for (let number = 0; number < count; number += 1) {
    const slot = number % ring.slots;
    ring.renew(slot, number);
    const start = ring.offset[slot]!;
    yield ring.bytes.slice(start, start + ring.length[slot]!);
  }
}

function buildPackets(options: RingOptions, random: Random): Packet[] {
  const attack = attacks[options.attack];
  const target = { ...options, port: options.port ?? attack.port, random };
  const { destinations } = options;
  const only = addressBytes(options.destination);
  const maxBytes = options.maxBytes ?? 24 << 20;
  const packets: Packet[] = [];
  for (let total = 0; packets.length < options.slots && total < maxBytes; ) {
    const destination = destinations ? addressIn(destinations, random) : only;
    const segment = fromPort(attack.build(target), options.sourcePort);
    const packet = toPacket(segment, randomSource(options.family, random), destination, random);
    packets.push(packet);
    total += packet.bytes.length;
  }
  return packets;
}

/**
 * All work is done on 16-bit words as this machine stores them: the internet checksum does not mind the byte order as long as
 * it is the same everywhere (RFC 1071, 2B), and a changed word corrects it without a look at the rest (RFC 1624).
 */
function renewer(
  bytes: Uint8Array,
  offset: Uint32Array,
  packets: Packet[],
  sources: Uint16Array | undefined,
  random: Random,
): Ring["renew"] {
  const words = new Uint16Array(bytes.buffer);
  const { family, sourceAt } = packets[0]!;
  const ipv4 = family === 4;
  const sourceWords = ipv4 ? 2 : 8;
  const tableRows = sources ? sources.length / sourceWords : 0;
  const scratch = new Uint16Array(8);
  // One entry for each slot in flat arrays: objects would cost more than the arithmetic.
  const base = offset.map((start) => (start + ETHERNET) >> 1);
  const checksumAt = Int32Array.from(packets, (packet) =>
    packet.checksumAt === undefined ? -1 : packet.checksumAt >> 1,
  );
  const portAt = Int32Array.from(packets, (packet) => (packet.varyPortAt === undefined ? -1 : packet.varyPortAt >> 1));
  const varied = packets.map((packet) => packet.vary.flatMap(([start, size]) => range(start >> 1, size >> 1)));
  const varyStart = new Uint32Array(packets.length + 1);
  varied.forEach((list, slot) => {
    varyStart[slot + 1] = varyStart[slot]! + list.length;
  });
  const vary = Uint16Array.from(varied.flat());
  const covers = Uint8Array.from(packets, (packet) => (packet.coversAddresses ? 1 : 0));
  const zeroMeansNone = Uint8Array.from(packets, (packet) => (packet.bytes[ipv4 ? 9 : 6] === PROTOCOL.udp ? 1 : 0));

  return (slot, number) => {
    const start = base[slot]!;
    let header = 0;
    let transport = 0;

    let from: Uint16Array = scratch;
    let row = 0;
    if (sources) {
      from = sources;
      row = (random.u32() % tableRows) * sourceWords;
    } else if (ipv4) {
      let address = random.u32();
      while (!isPublic(address & 255, (address >>> 8) & 255)) address = random.u32();
      scratch[0] = address;
      scratch[1] = address >>> 16;
    } else {
      for (let i = 0; i < 8; i += 2) {
        const value = random.u32();
        scratch[i] = value;
        scratch[i + 1] = value >>> 16;
      }
      scratch[0] = (scratch[0]! & 0xff1f) | 0x20;
    }
    let at = start + (sourceAt >> 1);
    for (let i = 0; i < sourceWords; i += 1, at += 1) {
      const value = from[row + i]!;
      header += (~words[at]! & 0xffff) + value;
      words[at] = value;
    }
    if (covers[slot]) transport = header;

    const varyEnd = varyStart[slot + 1]!;
    for (let i = varyStart[slot]!; i < varyEnd; i += 1) {
      const where = start + vary[i]!;
      const value = random.u32() & 0xffff;
      transport += (~words[where]! & 0xffff) + value;
      words[where] = value;
    }
    if (portAt[slot]! >= 0) {
      const where = start + portAt[slot]!;
      const value = (random.u32() & 0xffff) | 0x0004;
      transport += (~words[where]! & 0xffff) + value;
      words[where] = value;
    }

    const order = Math.min(number, ORDERED_PACKETS);
    const swapped = (order >> 8) | ((order & 255) << 8);
    const orderAt = start + (ipv4 ? 2 : 1);
    if (ipv4) {
      header += (~words[orderAt]! & 0xffff) + swapped;
      words[orderAt] = swapped;
      words[start + 5] = corrected(words[start + 5]!, header);
    } else {
      words[orderAt] = swapped;
    }
    if (checksumAt[slot]! >= 0) {
      const where = start + checksumAt[slot]!;
      const value = corrected(words[where]!, transport);
      words[where] = value === 0 && zeroMeansNone[slot] ? 0xffff : value;
    }
  };
}

/** RFC 1624, equation 3: `changes` is the sum of all ~old + new. */
function corrected(checksum: number, changes: number): number {
  let sum = (~checksum & 0xffff) + changes;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, index) => start + index);

/** Neither private, local, multicast nor reserved: what passes the reverse path of a router far away. */
function isPublic(first: number, second: number): boolean {
  if (first === 0 || first === 10 || first === 127 || first >= 224) return false;
  if (first === 100) return second < 64 || second > 127;
  if (first === 169) return second !== 254;
  if (first === 172) return second < 16 || second > 31;
  if (first === 192) return second !== 168;
  return true;
}

function randomSource(family: Family, random: Random): Uint8Array {
  const bytes = random.bytes(family === 4 ? 4 : 16);
  if (family === 6) bytes[0] = 0x20 | (bytes[0]! & 0x1f);
  else while (!isPublic(bytes[0]!, bytes[1]!)) bytes.set(random.bytes(4));
  return bytes;
}

/** The addresses to choose from, as words; undefined if every address will do. */
function sourceTable(sources: Sources, family: Family, random: Random): Uint16Array | undefined {
  if (sources === "random") return undefined;
  const many = (count: number, one: () => Uint8Array) => Array.from({ length: count }, one);
  const rows =
    "address" in sources
      ? [addressBytes(sources.address)]
      : "prefix" in sources
        ? many(OF_PREFIX, () => addressIn(sources.prefix, random))
        : many(sources.count, () => randomSource(family, random));
  const width = family === 4 ? 4 : 16;
  if (rows[0]?.length !== width) throw new Error(`sources are not of IPv${family}`);
  const bytes = new Uint8Array(rows.length * width);
  for (const [index, row] of rows.entries()) bytes.set(row, index * width);
  return new Uint16Array(bytes.buffer);
}
