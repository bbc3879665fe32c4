import { eachAttribute, SUBSYS_ULOG } from "./netlink-message.ts";

export type Sample = { prefix: string; bytes: Uint8Array };

/** Takes a packet of `buffer[from, to)`; `at`, epoch milliseconds, is the kernel's time, or 0 when it gave none. */
export type TakePacket = (at: number, buffer: Uint8Array, from: number, to: number) => void;

/** A batch holds many messages, and in each the packet is one attribute of several. */
export function eachRecorded(buffer: Buffer, length: number, take: TakePacket): void {
  let at = 0;
  while (at + 20 <= length) {
    const size = buffer.readUInt32LE(at);
    if (size < 20 || at + size > length) return;
    if (buffer.readUInt16LE(at + 4) === SUBSYS_ULOG << 8) {
      let time = 0;
      let from = 0;
      let to = 0;
      let part = at + 20;
      while (part + 4 <= at + size) {
        const bytes = buffer.readUInt16LE(part);
        if (bytes < 4 || part + bytes > at + size) break;
        const type = buffer.readUInt16LE(part + 2) & 0x3fff;
        if (type === 3 && bytes >= 20) time = timestamp(buffer, part + 4);
        else if (type === 9) {
          from = part + 4;
          to = part + bytes;
        }
        part += (bytes + 3) & ~3;
      }
      if (to > from) take(time, buffer, from, to);
    }
    at += (size + 3) & ~3;
  }
}

/** Seconds and microseconds, 64 bits each, in milliseconds. */
const timestamp = (buffer: Buffer, at: number): number =>
  (buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)) * 1000 + buffer.readUInt32BE(at + 12) / 1000;

/** Samples of a datagram, each a message. The bytes are only valid during the call. */
export function eachSample(buffer: Buffer, length: number, onSample: (sample: Sample) => void): void {
  let at = 0;
  while (at + 20 <= length) {
    const size = buffer.readUInt32LE(at);
    if (size < 20 || at + size > length) return;
    if (buffer.readUInt16LE(at + 4) === SUBSYS_ULOG << 8) {
      let prefix = "";
      let bytes: Uint8Array | undefined;
      eachAttribute(buffer, at + 20, at + size, (type, from, to) => {
        if (type === 10) prefix = buffer.toString("latin1", from, to - 1);
        else if (type === 9) bytes = buffer.subarray(from, to);
      });
      if (bytes) onSample({ prefix, bytes });
    }
    at += (size + 3) & ~3;
  }
}
