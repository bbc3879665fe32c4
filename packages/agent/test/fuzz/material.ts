import fs from "node:fs";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import vm from "node:vm";
import type { Random } from "@flowtriq/lab/random";

const FIXTURES = fileURLToPath(new URL("../../../detection/fixtures/", import.meta.url));

/** The product's own recordings, as files. */
export const recordings = (): Uint8Array[] =>
  fs
    .readdirSync(FIXTURES)
    .filter((name) => name.endsWith(".pcap"))
    .sort()
    .map((name) => new Uint8Array(fs.readFileSync(FIXTURES + name)));

/** Values that programs stumble over, as bytes. */
const CORNERS = [0, 1, 4, 5, 0x0f, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff] as const;

/** The same bytes, a little wrong: flipped, overwritten, cut, doubled, or crossed with others. */
export function mutated(bytes: Uint8Array, random: Random, others: readonly Uint8Array[] = []): Uint8Array {
  let out: Uint8Array = bytes.slice();
  for (let changes = 1 + random.below(8); changes > 0; changes--) {
    if (out.length === 0) return random.bytes(random.below(64));
    const at = random.below(out.length);
    const change = random.below(7);
    if (change === 0) out[at]! ^= 1 << random.below(8);
    else if (change === 1) out[at] = random.pick(CORNERS);
    else if (change === 2) out.set(random.bytes(Math.min(8, out.length - at)), at);
    else if (change === 3) out = out.slice(0, at);
    else if (change === 4) out.fill(random.pick(CORNERS), at, Math.min(out.length, at + random.below(8)));
    else if (change === 5) out = joined(out.subarray(0, at), out.subarray(random.below(out.length)));
    else if (others.length > 0) out = joined(out.subarray(0, at), others[random.below(others.length)]!.subarray(at));
  }
  return out;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** What somebody might write where a name, a number or an address belongs. */
const HOSTILE = [
  "",
  " ",
  "eth0",
  'eth0"; flush ruleset; "',
  "eth0\nflush ruleset",
  "$(reboot)",
  "`reboot`",
  "../../etc/passwd",
  "a".repeat(16),
  "a".repeat(70_000),
  "\0",
  "\u202e\u{1f4a5}",
  "{ }",
  "} flush ruleset #",
  "udp:51820:malformed",
  "udp:51820:malformed; drop",
  "host:syn",
  "host:constructor",
  "udp:99999:data",
  "__proto__",
  "toString",
  "0.0.0.0/0",
  "::/0",
  "10.0.0.0/8 }\nadd rule inet x y drop",
  "10.0.0.0/33",
  "1.2.3.4/08",
  "fe80::1%eth0",
  "::ffff:1.2.3.4",
  "999.1.1.1",
  "2001:db8::/129",
  "-1",
  "1e9",
  "NaN",
] as const;

/** Any JSON value, as an adversary would choose it. */
export function hostileValue(random: Random, depth = 0): unknown {
  const pick = random.below(depth > 2 ? 7 : 9);
  if (pick < 3) return random.pick(HOSTILE);
  if (pick === 3) return random.pick([0, -0, -1, 1, 2 ** 31, 2 ** 53, 1e308, -1e308, 0.1, 65_535, 65_536]);
  if (pick === 4) return random.pick([null, true, false]);
  if (pick === 5) return String.fromCharCode(...random.bytes(random.below(24)));
  if (pick === 6) return random.u32() / (1 + random.below(1000));
  if (pick === 7) return Array.from({ length: random.below(5) }, () => hostileValue(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(5) }, () => [random.pick(HOSTILE), hostileValue(random, depth + 1)]),
  );
}

/** A copy of a JSON value with about one leaf in `rarity` replaced, and some keys and items dropped, renamed or doubled. */
export function twisted(value: unknown, random: Random, rarity: number): unknown {
  const now = (times: number) => random.below(rarity * times) === 0;
  if (now(4)) return hostileValue(random);
  if (Array.isArray(value)) {
    const list = value.map((item) => twisted(item, random, rarity));
    return now(1) ? [...list, ...list] : list;
  }
  if (typeof value !== "object" || value === null) return now(1) ? hostileValue(random) : value;
  const entries = Object.entries(value)
    .filter(() => !now(3))
    .map(([key, inner]): [string, unknown] => [now(6) ? random.pick(HOSTILE) : key, twisted(inner, random, rarity)]);
  return Object.fromEntries(entries);
}

/** Text with characters changed, lost, doubled or moved. */
export function garbled(text: string, random: Random): string {
  return Buffer.from(mutated(Buffer.from(text, "latin1"), random)).toString("latin1");
}

/** Bytes of live objects, after a collection. */
export function heapBytes(): number {
  v8.setFlagsFromString("--expose-gc");
  (vm.runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
