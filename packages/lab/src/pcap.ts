import type { AttackName } from "./attacks.ts";
import { type Family, FLOOD_MAC } from "./namespaces.ts";
import { frames, type Sources } from "./ring.ts";

export interface Frame {
  /** Milliseconds since the epoch. */
  at: number;
  bytes: Uint8Array;
}

/** A classic capture file: little-endian, microseconds, Ethernet. */
export function toPcap(packets: Iterable<Frame>): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  const parts: Uint8Array[] = [header];
  for (const { at, bytes } of packets) {
    const record = Buffer.alloc(16);
    const microseconds = Math.round(at * 1000);
    record.writeUInt32LE(Math.floor(microseconds / 1e6), 0);
    record.writeUInt32LE(microseconds % 1e6, 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    parts.push(record, bytes);
  }
  return Buffer.concat(parts);
}

export interface AttackCapture {
  attack: AttackName;
  packets: number;
  pps: number;
  family?: Family;
  port?: number;
  sources?: Sources;
  seed?: number;
  serverPublicKey?: string;
  recorded?: string[];
  destinations?: string;
  sourcePort?: number;
  destination?: string;
  /** Milliseconds since the epoch. */
  startAt?: number;
}

/** The packets of a flood, evenly spaced, without a lab: for captures and unit tests. Same options, same bytes. */
export function* attackFrames(options: AttackCapture): Generator<Frame> {
  const { packets, pps, startAt = 0, ...rest } = options;
  const family = rest.family ?? 4;
  const ring = {
    ...{ sources: "random" as const, seed: 1, destination: family === 4 ? "10.99.0.1" : "fd99::1" },
    ...rest,
    ...{ family, sourceMac: FLOOD_MAC, destinationMac: "02:00:00:00:00:01" },
  };
  let number = 0;
  for (const bytes of frames(ring, packets)) {
    yield { at: startAt + (number * 1000) / pps, bytes };
    number += 1;
  }
}
