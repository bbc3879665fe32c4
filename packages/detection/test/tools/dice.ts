import type { Vector } from "@flowtriq/protocol/vector";
import type { Address, Packet } from "../../src/packet.ts";

/**
 * Floods as tools send them, written apart from the generator that the weights were fitted on (`attacks.ts`). Each choice has two
 * lists: `tried` was looked at while kinds, weights and groups were mended; `sealed` is other parameters, and only measured.
 */
export type Split = "tried" | "sealed";

export interface Ends {
  host: Address;
  /** The port that is aimed at, if it must not be one of a VPN's. */
  port?: number | undefined;
  /** The next packet's sender. */
  sender: () => { from: Address; ttl: number };
}

/** One way of attacking. `write` settles what this run of the tool has fixed, and answers with what makes the nth packet. */
export interface Tool {
  vector: Vector;
  name: string;
  /** Who sends: made-up addresses, one machine, or real machines of this number. */
  from: From;
  /** Packets a second; by default above the thresholds of lanes that only strangers use, and above one lost session's. */
  pps?: readonly [number, number];
  /** Seconds that it lasts, if not the usual few. */
  seconds?: number;
  /** What the host sends back. */
  reply?: (dice: Dice) => (packet: Packet, n: number) => Uint8Array | undefined;
  /** 4: made for IPv4 alone. */
  family?: 4;
  write(dice: Dice, ends: Ends): (n: number) => Uint8Array | Uint8Array[];
}
export type From = "anywhere" | "one" | readonly [least: number, most: number];

/** Reproducible chance (sfc32). */
export class Dice {
  readonly split: Split;
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #d = 1;

  constructor(seed: number, split: Split) {
    this.split = split;
    this.#a = seed ^ (split === "tried" ? 0 : 0x5bd1e995);
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
  unit(): number {
    return this.u32() / 2 ** 32;
  }
  /** Both included. */
  between(least: number, most: number): number {
    return least + (this.u32() % (most - least + 1));
  }
  chance(probability: number): boolean {
    return this.unit() < probability;
  }
  any<T>(list: readonly T[]): T {
    return list[this.u32() % list.length]!;
  }
  /** One of the list that belongs to this split. */
  of<T>(tried: readonly T[], sealed: readonly T[]): T {
    return this.any(this.split === "tried" ? tried : sealed);
  }
  /** As far as a sample reaches random; zero behind. */
  bytes(length: number): Uint8Array {
    const data = new Uint8Array(length);
    for (let at = 0; at < Math.min(length, 256); at++) data[at] = this.u32() >>> 24;
    return data;
  }
  letters(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.between(97, 122))).join("");
  }
  /** A port that a client has. */
  high(): number {
    return this.between(1025, 65_535);
  }
}

/** Public addresses, as bots and reflectors have. */
export function machine(dice: Dice, family: 4 | 6): Address {
  if (family === 6) {
    const prefix = dice.of([0x2001, 0x2a01, 0x2607], [0x240e, 0x2a0d, 0x2409, 0x2806]);
    return String.fromCharCode(
      prefix,
      dice.between(0x100, 0xfff),
      ...Array.from({ length: 6 }, () => dice.u32() >>> 16),
    );
  }
  const first = dice.of([24, 31, 58, 77, 85, 113, 187, 200], [14, 39, 46, 91, 103, 151, 178, 212]);
  return first * 2 ** 24 + (dice.u32() >>> 8);
}

/** Systems' and tools' first TTLs, less the way. */
const ttlOf = (dice: Dice) => dice.any([64, 64, 64, 128, 255]) - dice.between(5, 22);

/** Who sends the packets of one run. */
export function senders(dice: Dice, family: 4 | 6, from: From): Ends["sender"] {
  if (from === "anywhere") {
    const ttl = dice.of([64, 255, 128], [64, 250, 100, 241]) - dice.between(4, 19);
    const paths = dice.between(0, 2);
    return () => ({ from: family === 4 ? dice.u32() : machine(dice, 6), ttl: ttl - dice.between(0, paths) });
  }
  if (from === "one") {
    const only = { from: machine(dice, family), ttl: ttlOf(dice) };
    return () => only;
  }
  const all = Array.from({ length: dice.between(from[0], from[1]) }, () => ({
    from: machine(dice, family),
    ttl: ttlOf(dice),
  }));
  // A few have fast lines.
  const skew = dice.any([1, 1.5, 2.2]);
  return () => all[Math.floor(dice.unit() ** skew * all.length)]!;
}
