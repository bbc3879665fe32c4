import { expect, test } from "vitest";
import { columns, duration, paintFor, printable, rate, short, widthOf, wrap } from "./terminal.ts";

test("colours are for terminals only, and not with NO_COLOR", () => {
  const painted = (isTTY: boolean, env: Record<string, string>) => paintFor({ isTTY }, env).red("x");
  expect(painted(true, {})).toBe("\x1b[31mx\x1b[0m");
  for (const [isTTY, env] of [
    [false, {}],
    [true, { NO_COLOR: "1" }],
    [true, { TERM: "dumb" }],
  ] as const) {
    expect(painted(isTTY, env)).toBe("x");
  }
});

test("output is as wide as the terminal within reason, and 80 into a file", () => {
  expect(widthOf({ isTTY: true, columns: 72 })).toBe(72);
  expect(widthOf({ isTTY: true, columns: 400 })).toBe(100);
  expect(widthOf({ columns: 400 })).toBe(80);
});

test("words are wrapped, and what is longer than a line stays whole", () => {
  expect(wrap("one two three", 7, 2)).toBe("one two\n  three");
  expect(wrap("a /very/long/path b", 6)).toBe("a\n/very/long/path\nb");
});

test("columns are aligned, numbers to the right", () => {
  const rows = [
    ["LANE", "PACKETS"],
    ["udp:1:data", "7"],
  ];
  expect(columns(rows, [1])).toEqual(["LANE        PACKETS", "udp:1:data        7"]);
});

test("durations have two units at most", () => {
  expect([0, 59.6, 192, 7_260, 90_061].map(duration)).toEqual(["0s", "1m", "3m 12s", "2h 1m", "1d 1h"]);
});

test("what came over the network cannot move the cursor", () => {
  expect(printable("a\x1b[2Jb\x07")).toBe("a?[2Jb?");
});

test("rates have three figures and their prefix", () => {
  expect([0, 118, 999.6, 312_400, 1_200_000_000].map((value) => rate(value, "pps"))).toEqual([
    "0 pps",
    "118 pps",
    "1000 pps",
    "312 kpps",
    "1.2 Gpps",
  ]);
  expect([0, 312, 18_460, 2_000_000].map(short)).toEqual(["0", "312", "18.5K", "2M"]);
});
