import { LINK, type LinkType } from "./packet.ts";

export interface PcapRecord {
  /** Milliseconds since the epoch, with a fraction. */
  at: number;
  linkType: LinkType;
  /** A view of the file's bytes. */
  bytes: Uint8Array;
  /** Octets on the wire; more than `bytes` where the capture cut them. */
  wireLength: number;
}

/** Not a capture file, or one that cannot be read on. The message says what to do. */
export class PcapError extends Error {
  override name = "PcapError";
}

/** The records of a capture, in file order. */
export interface PcapFile extends Iterable<PcapRecord> {
  format: "pcap" | "pcapng";
  /** Set once iteration has met the damage: the file ends inside a record or its lengths make no sense from there on. */
  truncated: string | undefined;
}

/** Larger records are damage or malice: the largest snap length of libpcap. */
const MAX_RECORD = 262_144;
const MAX_INTERFACES = 1024;

/**
 * Reads classic pcap (both byte orders, micro- and nanoseconds) and pcapng. Whole records are given, a cut end is told in
 * `truncated`. Throws PcapError when the file is neither.
 */
export function readPcap(file: Uint8Array): PcapFile {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 4) throw new PcapError(`not a capture file: only ${file.length} bytes long`);
  const magic = view.getUint32(0);
  if (magic === 0x0a0d0d0a) return reading("pcapng", (result) => pcapng(file, view, result));
  const classic = CLASSIC.get(magic);
  if (!classic) {
    const hex = magic.toString(16).padStart(8, "0");
    throw new PcapError(`not a capture file: it begins with ${hex}; expected pcap or pcapng (decompress it first?)`);
  }
  if (file.length < 24) throw new PcapError("the capture file is cut inside its 24-byte header");
  return reading("pcap", (result) => classicRecords(file, view, classic, result));
}

const CLASSIC = new Map([
  [0xa1b2c3d4, { little: false, perMillisecond: 1e3 }],
  [0xd4c3b2a1, { little: true, perMillisecond: 1e3 }],
  [0xa1b23c4d, { little: false, perMillisecond: 1e6 }],
  [0x4d3cb2a1, { little: true, perMillisecond: 1e6 }],
]);

function reading(format: PcapFile["format"], records: (result: PcapFile) => Iterator<PcapRecord>): PcapFile {
  const result: PcapFile = {
    format,
    truncated: undefined,
    [Symbol.iterator]: () => {
      result.truncated = undefined;
      return records(result);
    },
  };
  return result;
}

function* classicRecords(
  file: Uint8Array,
  view: DataView,
  { little, perMillisecond }: { little: boolean; perMillisecond: number },
  result: PcapFile,
): Generator<PcapRecord> {
  const linkType = view.getUint32(20, little) & 0xffff;
  let at = 24;
  while (at < file.length) {
    if (at + 16 > file.length) {
      result.truncated = `the file ends inside a record header at byte ${at}`;
      return;
    }
    const captured = view.getUint32(at + 8, little);
    if (captured > MAX_RECORD) {
      result.truncated = `a record at byte ${at} claims ${captured} bytes`;
      return;
    }
    const end = at + 16 + captured;
    if (end > file.length) {
      result.truncated = `the file ends inside a record at byte ${at}`;
      return;
    }
    yield {
      at: view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / perMillisecond,
      linkType,
      bytes: file.subarray(at + 16, end),
      wireLength: Math.max(captured, view.getUint32(at + 12, little)),
    };
    at = end;
  }
}

interface Interface {
  linkType: LinkType;
  snapLength: number;
  /** Milliseconds per tick. */
  tick: number;
  offsetMilliseconds: number;
}

function* pcapng(file: Uint8Array, view: DataView, result: PcapFile): Generator<PcapRecord> {
  let little = true;
  let interfaces: Interface[] = [];
  let at = 0;
  while (at < file.length) {
    if (at + 12 > file.length) {
      result.truncated = `the file ends inside a block header at byte ${at}`;
      return;
    }
    if (view.getUint32(at) === 0x0a0d0d0a) {
      // A new section: its own byte order and interfaces.
      little = view.getUint32(at + 8, true) === 0x1a2b3c4d;
      interfaces = [];
    }
    const type = view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || at + length > file.length) {
      result.truncated =
        length < 12 || length % 4 !== 0
          ? `a block at byte ${at} claims ${length} bytes`
          : `the file ends inside a block at byte ${at}`;
      return;
    }
    const body = at + 8;
    const end = at + length - 4;
    if (type === 1 && end - body >= 8) {
      if (interfaces.length >= MAX_INTERFACES) {
        result.truncated = `more than ${MAX_INTERFACES} interfaces`;
        return;
      }
      interfaces.push(readInterface(view, body, end, little));
    } else if ((type === 6 || type === 2) && end - body >= 20) {
      // Enhanced packet, and its obsolete ancestor with a 16-bit interface and a drop count.
      const from = interfaces[type === 6 ? view.getUint32(body, little) : view.getUint16(body, little)];
      const captured = view.getUint32(body + 12, little);
      if (captured > MAX_RECORD || body + 20 + captured > end) {
        result.truncated = `a packet at byte ${at} claims ${captured} bytes`;
        return;
      }
      if (from) {
        const ticks = view.getUint32(body + 4, little) * 2 ** 32 + view.getUint32(body + 8, little);
        yield {
          at: ticks * from.tick + from.offsetMilliseconds,
          linkType: from.linkType,
          bytes: file.subarray(body + 20, body + 20 + captured),
          wireLength: Math.max(captured, view.getUint32(body + 16, little)),
        };
      }
    } else if (type === 3 && end - body >= 4 && interfaces[0]) {
      // A simple packet has no time and belongs to the first interface.
      const wireLength = view.getUint32(body, little);
      const captured = Math.min(wireLength, end - body - 4, interfaces[0].snapLength || MAX_RECORD, MAX_RECORD);
      const bytes = file.subarray(body + 4, body + 4 + captured);
      yield { at: 0, linkType: interfaces[0].linkType, bytes, wireLength };
    }
    at += length;
  }
}

function readInterface(view: DataView, body: number, end: number, little: boolean): Interface {
  const found: Interface = {
    linkType: view.getUint16(body, little),
    snapLength: view.getUint32(body + 4, little),
    tick: 1e-3,
    offsetMilliseconds: 0,
  };
  let at = body + 8;
  while (at + 4 <= end) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === 0 || at + 4 + length > end) break;
    if (code === 9 && length >= 1) {
      const resolution = view.getUint8(at + 4);
      found.tick = 1000 * (resolution & 0x80 ? 2 : 10) ** -(resolution & 0x7f);
    } else if (code === 14 && length >= 8) {
      found.offsetMilliseconds = Number(view.getBigInt64(at + 4, little)) * 1000;
    }
    at += 4 + ((length + 3) & ~3);
  }
  return found;
}

export const PCAP_HEAD_BYTES = 24;
export const PCAP_RECORD_BYTES = 16;
type Resolution = "micro" | "nano";
const MAGIC = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d } satisfies Record<Resolution, number>;
const PER_SECOND = { micro: 1e6, nano: 1e9 } satisfies Record<Resolution, number>;

/** What a classic pcap begins with: little-endian, version 2.4. */
export function pcapHead(linkType: LinkType, snapLength: number, resolution: Resolution): Uint8Array {
  const head = new Uint8Array(PCAP_HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC[resolution], true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, snapLength, true);
  view.setUint32(20, linkType, true);
  return head;
}

/** What stands before a packet: its time (epoch milliseconds), the octets that follow, and those on the wire. */
export function putRecordHead(
  view: DataView,
  offset: number,
  { at, captured, wireLength }: { at: number; captured: number; wireLength: number },
  resolution: Resolution,
): void {
  const seconds = Math.floor(at / 1000);
  const parts = PER_SECOND[resolution];
  view.setUint32(offset, seconds, true);
  view.setUint32(offset + 4, Math.min(parts - 1, Math.round(((at - seconds * 1000) * parts) / 1000)), true);
  view.setUint32(offset + 8, captured, true);
  view.setUint32(offset + 12, wireLength, true);
}

/** A classic pcap of nanosecond stamps; opens in Wireshark. Records longer than `snapLength` are cut. */
export function writePcap(
  records: Iterable<{ at: number; bytes: Uint8Array; wireLength?: number }>,
  { linkType = LINK.raw as LinkType, snapLength = 65_535 } = {},
): Uint8Array {
  const parts = [...records].map((record) => ({ ...record, kept: record.bytes.subarray(0, snapLength) }));
  const size = parts.reduce((sum, part) => sum + PCAP_RECORD_BYTES + part.kept.length, PCAP_HEAD_BYTES);
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  file.set(pcapHead(linkType, snapLength, "nano"));
  let offset = PCAP_HEAD_BYTES;
  for (const { at, bytes, kept, wireLength = 0 } of parts) {
    const head = { at, captured: kept.length, wireLength: Math.max(wireLength, bytes.length) };
    putRecordHead(view, offset, head, "nano");
    file.set(kept, offset + PCAP_RECORD_BYTES);
    offset += PCAP_RECORD_BYTES + kept.length;
  }
  return file;
}
