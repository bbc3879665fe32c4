import { z } from "zod";

export const MAX_PLAYED = 200_000;
/** No IP packet is longer. */
const MAX_BYTES = 65_535;
const RECORD = 16;

/** A packet that is to be played: a whole IP packet, its moment in milliseconds from the beginning, and which way it goes. */
export interface Played {
  at: number;
  /** `in` arrives at the concentrator, `out` is sent by it. */
  way: "in" | "out";
  bytes: Uint8Array;
}

/** What the player's process is given as its argument, as JSON. */
export const PlayRequest = z.strictObject({
  file: z.string(),
  /** Named namespace of the concentrator. */
  concentrator: z.string().regex(/^[a-z0-9-]{1,32}$/),
  destinationMac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
});
export type PlayRequest = z.infer<typeof PlayRequest>;

/** What it says when it is through, one JSON object. */
export const PlayReport = z.strictObject({
  sent: z.strictObject({ in: z.number().int(), out: z.number().int() }),
  /** What the kernel refused: number of the packet and errno. */
  refused: z.array(z.tuple([z.number().int(), z.number().int()])),
  seconds: z.number(),
});
export type PlayReport = z.infer<typeof PlayReport>;

/** The packets as one file: time, direction and length, then the packet, again and again. */
export function toScript(packets: readonly Played[]): Uint8Array {
  if (packets.length > MAX_PLAYED) throw new Error(`more than ${MAX_PLAYED} packets to play`);
  const file = new Uint8Array(packets.reduce((sum, { bytes }) => sum + RECORD + bytes.length, 0));
  const view = new DataView(file.buffer);
  let end = 0;
  for (const { at, way, bytes } of packets) {
    if (bytes.length < 20 || bytes.length > MAX_BYTES) throw new Error(`not a packet: ${bytes.length} bytes`);
    view.setFloat64(end, at);
    view.setUint32(end + 8, way === "in" ? 0 : 1);
    view.setUint32(end + 12, bytes.length);
    file.set(bytes, end + RECORD);
    end += RECORD + bytes.length;
  }
  return file;
}

export function fromScript(file: Uint8Array): Played[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const packets: Played[] = [];
  for (let at = 0; at < file.length; ) {
    const length = view.getUint32(at + 12);
    packets.push({
      at: view.getFloat64(at),
      way: view.getUint32(at + 8) === 0 ? "in" : "out",
      bytes: file.subarray(at + RECORD, at + RECORD + length),
    });
    at += RECORD + length;
  }
  return packets;
}
