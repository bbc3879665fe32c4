import fc from "fast-check";
import { expect, test } from "vitest";
import { bytes } from "../test/craft.ts";
import { LINK } from "./packet.ts";
import { PcapError, readPcap, writePcap } from "./pcap.ts";

const u32 = (value: number, little: boolean) => {
  const four = new Uint8Array(4);
  new DataView(four.buffer).setUint32(0, value, little);
  return four;
};
const u16 = (value: number, little: boolean) => u32(value, little).subarray(little ? 0 : 2, little ? 2 : 4);

const classic = (little: boolean, nano: boolean) => {
  const n = (value: number) => u32(value, little);
  const fraction = nano ? 500_250_000 : 500_250;
  return bytes(
    n(nano ? 0xa1b23c4d : 0xa1b2c3d4),
    u16(2, little),
    u16(4, little),
    ...[0, 0, 65535, LINK.ethernet].map(n),
    ...[1_700_000_000, fraction, 3, 90].map(n),
    "abc",
    ...[1_700_000_001, 0, 2, 2].map(n),
    "de",
  );
};

test.each([
  ["little-endian, microseconds", true, false],
  ["big-endian, microseconds", false, false],
  ["little-endian, nanoseconds", true, true],
  ["big-endian, nanoseconds", false, true],
])("a classic capture is read: %s", (_, little, nano) => {
  const file = readPcap(classic(little, nano));
  const records = [...file];
  expect(records.map(({ at, linkType, wireLength }) => ({ at, linkType, wireLength }))).toEqual([
    { at: 1_700_000_000_500.25, linkType: 1, wireLength: 90 },
    { at: 1_700_000_001_000, linkType: 1, wireLength: 2 },
  ]);
  expect(records.map((record) => new TextDecoder().decode(record.bytes))).toEqual(["abc", "de"]);
  expect(file.truncated).toBeUndefined();
});

const block = (type: number, little: boolean, ...body: Uint8Array[]) => {
  const inner = bytes(...body);
  const padded = bytes(inner, new Uint8Array(-inner.length & 3));
  const length = u32(12 + padded.length, little);
  return bytes(u32(type, little), length, padded, length);
};

const pcapng = (little: boolean) => {
  const n = (value: number) => u32(value, little);
  const h = (value: number) => u16(value, little);
  const ticks = 1_700_000_000_500_250_000n;
  return bytes(
    block(0x0a0d0d0a, little, n(0x1a2b3c4d), h(1), h(0), n(0xffffffff), n(0xffffffff)),
    block(1, little, h(LINK.ethernet), h(0), n(0)),
    block(1, little, h(LINK.raw), h(0), n(0), h(9), h(1), bytes([9, 0, 0, 0]), h(0), h(0)),
    block(0xbad, little, n(7)),
    block(6, little, n(1), n(Number(ticks >> 32n)), n(Number(ticks & 0xffffffffn)), n(3), n(90), bytes("abc")),
    block(6, little, n(0), n(395812), n(1077936128), n(2), n(2), bytes("de")),
    block(3, little, n(2), bytes("fg")),
    block(6, little, n(9), n(0), n(0), n(1), n(1), bytes("x")),
  );
};

test.each([
  ["little-endian", true],
  ["big-endian", false],
])("a pcapng with several interfaces and resolutions is read: %s", (_, little) => {
  const file = readPcap(pcapng(little));
  const records = [...file];
  expect(records.map((record) => new TextDecoder().decode(record.bytes))).toEqual(["abc", "de", "fg"]);
  expect(records.map((record) => record.linkType)).toEqual([LINK.raw, LINK.ethernet, LINK.ethernet]);
  expect(records[0]!.at).toBeCloseTo(1_700_000_000_500.25, 3);
  expect(records[1]!.at).toBeCloseTo((395812 * 2 ** 32 + 1077936128) / 1000, 2);
  expect(records[0]!.wireLength).toBe(90);
  expect(file.truncated).toBeUndefined();
});

test.each([
  // Cuts that nobody can tell: right after the header, or between two records or blocks.
  ["pcap", classic(true, false), [24, 43]],
  ["pcapng", pcapng(true), [28, 48, 80, 96, 132, 168, 188]],
])("a %s cut anywhere gives its whole records and says that it was cut", (_, whole, clean) => {
  const all = [...readPcap(whole)].length;
  const untold: number[] = [];
  for (let length = 24; length < whole.length; length++) {
    const file = readPcap(whole.subarray(0, length));
    expect([...file].length).toBeLessThanOrEqual(all);
    if (file.truncated) expect(file.truncated).toMatch(/ends inside/);
    else untold.push(length);
  }
  expect(untold).toEqual(clean);
});

test("a file that is no capture is refused with what it begins with", () => {
  expect(() => readPcap(bytes("\x1f\x8b\x08\x00 gzip"))).toThrow(PcapError);
  expect(() => readPcap(bytes("\x1f\x8b\x08\x00 gzip"))).toThrow(/decompress/);
  expect(() => readPcap(bytes())).toThrow(/0 bytes/);
  expect(() => readPcap(classic(true, false).subarray(0, 10))).toThrow(/24-byte header/);
});

test.each([0xffffffff, 300_000, 0x80000000])(
  "a record that claims %i bytes ends the reading and allocates nothing",
  (claim) => {
    const file = readPcap(bytes(classic(true, false).subarray(0, 32), u32(claim, true), u32(claim, true), "rest"));
    expect([...file]).toEqual([]);
    expect(file.truncated).toContain(`claims ${claim} bytes`);
  },
);

test("what is written is read back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.integer({ min: 0, max: 4e12 }), bytes: fc.uint8Array({ maxLength: 40 }) })),
      fc.nat(40),
      (records, snapLength) => {
        const read = [...readPcap(writePcap(records, { snapLength }))];
        expect(read.map(({ at, bytes: data, wireLength }) => [at, [...data], wireLength])).toEqual(
          records.map(({ at, bytes: data }) => [at, [...data.subarray(0, snapLength)], data.length]),
        );
      },
    ),
  );
});

test("no bytes whatever make reading throw anything but PcapError, or go on for ever", () => {
  const start = fc.constantFrom(classic(true, true), classic(false, false), pcapng(true), pcapng(false));
  fc.assert(
    fc.property(start, fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 8 }), (base, edits) => {
      const file = base.slice();
      for (const [at, value] of edits) if (at < file.length) file[at] = value;
      try {
        expect([...readPcap(file)].length).toBeLessThan(file.length);
      } catch (error) {
        expect(error).toBeInstanceOf(PcapError);
      }
    }),
    { numRuns: 2000 },
  );
});
