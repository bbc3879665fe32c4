import { VpnPort } from "@flowtriq/protocol/lane";
import { blake2s } from "@noble/hashes/blake2.js";
import { isBogon } from "../src/flows.ts";
import { type Mac1Key, mac1Key } from "../src/mac1.ts";
import { type Address, LINK, type Packet, readPacket } from "../src/packet.ts";

/** Two halves of the parameters: what is fitted on one is judged on the other. */
export type Half = "training" | "held-out";

/** Reproducible chance (mulberry32), and the addresses, ports and sizes that one generated case is made of. */
export class World {
  readonly half: Half;
  readonly family: 4 | 6;
  readonly host: Address;
  readonly ports: VpnPort[];
  readonly mac1Key: Mac1Key;
  #state: number;

  constructor(seed: number, half: Half) {
    this.#state = seed >>> 0;
    this.half = half;
    for (let i = 0; i < 8; i++) this.random();
    this.family = this.random() < 0.75 ? 4 : 6;
    this.host = this.client();
    this.mac1Key = mac1Key(this.bytes(32));
    this.ports = [
      ["wireguard", this.choose([51820, 51820, 41194, 443, 13231, 12912])],
      ["openvpn", this.choose([1194, 1194, 1195, 1196])],
      ["ike", 500],
      ["ipsec_nat_t", 4500],
    ].map(([protocol, port]) => VpnPort.parse({ protocol, port, transport: "udp" }));
  }

  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  chance(probability: number): boolean {
    return this.random() < probability;
  }
  int(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }
  /** Evenly over the orders of magnitude. */
  scale(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.random());
  }
  /** One of a list; of a longer list each half of the parameters has its own entries. */
  choose<T>(list: readonly T[]): T {
    const mine = list.length < 4 ? list : list.filter((_, i) => i % 2 === (this.half === "training" ? 0 : 1));
    return mine[this.int(0, mine.length - 1)]!;
  }
  /** Random as far as anybody looks, zero behind. */
  bytes(length: number): Uint8Array {
    const data = new Uint8Array(length);
    const end = Math.min(length, 192);
    for (let i = 0; i < end; i++) data[i] = this.random() * 256;
    return data;
  }
  /** A WireGuard handshake message's first octets, followed by their mac1. */
  sign(start: Uint8Array): Uint8Array {
    const signed = new Uint8Array(start.length + 16);
    signed.set(start);
    signed.set(blake2s(start, { key: this.mac1Key.key, dkLen: 16 }), start.length);
    return signed;
  }
  port(): number {
    return this.chance(0.8) ? this.int(32_768, 65_535) : this.int(1024, 32_767);
  }
  vpn(protocol: VpnPort["protocol"]): number {
    return this.ports.find((port) => port.protocol === protocol)!.port;
  }
  /** An address that a machine on the Internet can have. */
  client(): Address {
    if (this.family === 6) {
      const prefix = this.choose([0x2001, 0x2003, 0x2400, 0x2600, 0x2804, 0x2a00, 0x2a02, 0x2c0f]);
      return String.fromCharCode(prefix, ...Array.from({ length: 7 }, () => this.int(0, 0xffff)));
    }
    const address = this.int(11, 223) * 2 ** 24 + this.int(0, 0xffff) * 256 + this.int(1, 253);
    return isBogon(address) ? this.client() : address;
  }
  /** What a tool makes up. */
  madeUp(): Address {
    if (this.family === 6) return this.client();
    return this.int(0, 0xffffffff);
  }
  /** A genuine host's TTL: 64, 128 or 255 less its hops. */
  ttl(): number {
    return this.choose([64, 64, 64, 128, 128, 255]) - this.int(4, 24);
  }
}

export interface Event {
  at: number;
  packet: Packet;
  bytes: Uint8Array;
  /** Sent by the host. */
  sent: boolean;
  hostile: boolean;
}

/** What a generator writes into: packets with their times, cut as a sample is. */
export class Script {
  readonly events: Event[] = [];
  readonly snapLength: number;
  /** Whether what is written now belongs to an attack. */
  hostile = false;
  constructor(snapLength: number) {
    this.snapLength = snapLength;
  }
  in(at: number, bytes: Uint8Array): void {
    this.#push(at, bytes, false);
  }
  out(at: number, bytes: Uint8Array): void {
    this.#push(at, bytes, true);
  }
  #push(at: number, bytes: Uint8Array, sent: boolean): void {
    const kept = bytes.subarray(0, this.snapLength);
    const packet = readPacket(kept, LINK.raw, bytes.length);
    if (!packet) throw new Error("a generator made no packet");
    this.events.push({ at, packet, bytes: kept, sent, hostile: this.hostile });
  }
}
