import { describe, expect, test } from "vitest";
import { ago, bps, brief, duration, percent, plural, pps } from "./format.ts";

test.each([
  [0, "0 pps"],
  [61, "61 pps"],
  [999.6, "1 kpps"],
  [5200, "5.2 kpps"],
  [312_000, "312 kpps"],
  [999_999, "1 Mpps"],
  [1_900_000, "1.9 Mpps"],
])("%d packets a second read as %s", (value, words) => {
  expect(pps(value)).toBe(words);
});

test.each([
  [4.1e9, "4.1 Gb/s"],
  [343_200_000, "343 Mb/s"],
  [999, "999 b/s"],
])("%d bits a second read as %s", (value, words) => {
  expect(bps(value)).toBe(words);
});

describe("a share", () => {
  test.each([
    [0, "0 %"],
    [0.000001, "< 0.01 %"],
    [0.0002, "0.02 %"],
    [0.061, "6.1 %"],
    [0.938, "93.8 %"],
    [0.99999, "> 99.99 %"],
    [1, "100 %"],
  ])("%d reads as %s", (share, words) => {
    expect(percent(share)).toBe(words);
  });
});

test.each([
  [0, "0 ms"],
  [0.4, "< 1 ms"],
  [9, "9 ms"],
  [999, "999 ms"],
  [1240, "1.24 s"],
  [41_000, "41 s"],
  [59_900, "1 m"],
  [478_000, "7 m 58 s"],
  [3_599_900, "1 h"],
  [11_520_000, "3 h 12 m"],
  [353_000_000, "4 d 2 h"],
])("%d milliseconds read as %s", (ms, words) => {
  expect(duration(ms)).toBe(words);
});

test("counts are short only when they are long", () => {
  expect([brief(999_999), brief(4_100_000_000), brief(72_700_000)]).toEqual(["999,999", "4.1 B", "72.7 M"]);
});

test("a time that is not yet is now", () => {
  expect([ago(-5000), ago(1900), ago(45_000), ago(3 * 3_600_000)]).toEqual(["now", "now", "45 s ago", "3 h ago"]);
});

test("one is a word", () => {
  expect([plural(1, "node"), plural(12, "node"), plural(0, "node")]).toEqual(["one node", "12 nodes", "0 nodes"]);
});
