import { isIPv6 } from "node:net";
import { TooManyRequests } from "@flowtriq/services/errors";

const MAX_ADDRESSES = 50_000;

/** So many a minute for each client address, in bursts of as many; an IPv6 client is its /64. */
export class Limiter {
  readonly #perMinute: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** Throws TooManyRequests when there is nothing left. */
  check(address: string, now = Date.now()): void {
    if (this.#left(address, now) < 1) throw new TooManyRequests(Math.ceil(60 / this.#perMinute));
  }

  take(address: string, now = Date.now()): void {
    const key = keyOf(address);
    const tokens = this.#left(address, now) - 1;
    this.#buckets.delete(key); // to the end: the first of the map is the one not heard of for longest
    if (this.#buckets.size >= MAX_ADDRESSES) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, { tokens, at: now });
  }

  #left(address: string, now: number): number {
    const bucket = this.#buckets.get(keyOf(address));
    if (!bucket) return this.#perMinute;
    return Math.min(this.#perMinute, bucket.tokens + ((now - bucket.at) / 60_000) * this.#perMinute);
  }
}

const keyOf = (address: string): string =>
  isIPv6(address) && !address.startsWith("::ffff:") ? prefix64(address) : address;

function prefix64(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - groups.length - behind.length)).fill("0");
  return [...groups, ...zeros, ...behind].slice(0, 4).join(":");
}
