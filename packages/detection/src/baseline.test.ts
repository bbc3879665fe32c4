import type { LaneId } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { describe, expect, test } from "vitest";
import { World } from "../test/world.ts";
import { Baselines } from "./baseline.ts";
import { Limits } from "./limits.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A Monday at midnight. */
const MONDAY = Date.UTC(2026, 2, 2);
const lane: LaneId = "udp:1194:control";
const PACKET_BITS = 1_000;

/**
 * Teaches what is not over its limit, as the detector does, and on a new host the first minutes, which it judges as ordinary;
 * gives the later moments at which it was over.
 */
function live(
  baselines: Baselines,
  from: number,
  milliseconds: number,
  pps: (at: number) => number,
  { stepMs = 10_000, taught = lane } = {},
): number[] {
  const limits = new Limits(Policy.parse({}), baselines);
  const over: number[] = [];
  const settled = baselines.usual(from, taught).pps > 0 ? from : from + 300_000;
  for (let at = from + stepMs; at <= from + milliseconds; at += stepMs) {
    limits.at = at;
    const limit = limits.of(taught);
    const rates = { pps: pps(at), bps: pps(at) * PACKET_BITS };
    if (at > settled && (rates.pps > limit.pps || rates.bps > limit.bps)) over.push(at);
    else baselines.learn(at, taught, rates, stepMs / 1000);
  }
  return over;
}

/** Four times as much at noon as at night, a third of it at the weekend; with gusts of a fifth either way. */
function week(world: World, least: number) {
  return (at: number) => {
    const hour = (at % DAY) / HOUR;
    const weekend = [6, 0].includes(new Date(at).getUTCDay());
    const day = Math.max(0, Math.sin(((hour - 6) / 14) * Math.PI)) * (weekend ? 1 : 3);
    return least * (1 + day) * (0.8 + 0.4 * world.random());
  };
}

test("steady traffic is usual within a minute", () => {
  const baselines = new Baselines();
  live(baselines, MONDAY, 60_000, () => 300);
  expect(baselines.usual(MONDAY + 60_000, lane).pps).toBeCloseTo(300, 0);
  expect(baselines.usual(MONDAY + 60_000, lane).bps).toBeCloseTo(300 * PACKET_BITS, -1);
});

test("what was never seen has no usual rate", () => {
  expect(new Baselines().usual(MONDAY, lane)).toEqual({ pps: 0, bps: 0 });
});

describe("what grows slowly does not become normal", () => {
  const growth = (from: number, base: number) => (at: number) => base * 1.02 ** ((at - from) / 60_000);

  test.each([
    ["an hour", HOUR],
    ["a day", DAY],
    ["two weeks", 14 * DAY],
  ])(
    "growth by a fiftieth a minute, thirty-fivefold in three hours, is noticed after %s of learning",
    (_, milliseconds) => {
      const baselines = new Baselines();
      // Well above its floor, so that no floor helps.
      live(baselines, MONDAY, milliseconds, () => 5_000);
      const from = MONDAY + milliseconds;
      const over = live(baselines, from, 3 * HOUR, growth(from, 5_000));
      expect(over.length).toBeGreaterThan(0);
      // And from then on: nothing that is over teaches.
      expect(over.at(-1)).toBe(from + 3 * HOUR);
    },
  );

  test("nor does 2 % an hour for a week, once a week is known", () => {
    const baselines = new Baselines();
    live(baselines, MONDAY, 14 * DAY, () => 900, { stepMs: 30_000 });
    const from = MONDAY + 14 * DAY;
    const over = live(baselines, from, 7 * DAY, (at) => 900 * 1.02 ** ((at - from) / HOUR), { stepMs: 30_000 });
    expect(over.length).toBeGreaterThan(0);
    expect(over[0]! - from).toBeLessThan(5 * DAY);
  });

  test("an hour that is flooded to the threshold each week raises it by less than a third a week", () => {
    const baselines = new Baselines();
    live(baselines, MONDAY, 14 * DAY, () => 900, { stepMs: 30_000 });
    const at = MONDAY + 14 * DAY + 10 * HOUR;
    const before = baselines.usual(at, lane).pps;
    live(baselines, MONDAY + 14 * DAY, 7 * DAY, (now) => (now >= at && now < at + HOUR ? 2_200 : 900), {
      stepMs: 30_000,
    });
    live(baselines, MONDAY + 21 * DAY, 10 * HOUR, () => 900, { stepMs: 30_000 });
    expect(baselines.usual(at + 7 * DAY, lane).pps).toBeLessThan(before * 1.34);
  });
});

describe("a weekly rhythm of four times as much by day as by night", () => {
  test.each([
    ["from midnight", 0],
    ["from noon", 12 * HOUR],
    ["from a Saturday", 5 * DAY],
  ])("is never over: the first days %s, two weeks, and the weeks after", (_, offset) => {
    const world = new World(7, "training");
    const baselines = new Baselines();
    expect(live(baselines, MONDAY + offset, 24 * DAY, week(world, 1_500), { stepMs: 20_000 })).toEqual([]);
  });

  test("is known after two weeks: a Monday's noon is expected on Monday at noon, and not at night", () => {
    const baselines = new Baselines();
    live(baselines, MONDAY, 14 * DAY, week(new World(7, "training"), 1_500), { stepMs: 20_000 });
    const noon = baselines.usual(MONDAY + 14 * DAY + 13 * HOUR, lane).pps;
    const night = baselines.usual(MONDAY + 14 * DAY + 3 * HOUR, lane).pps;
    expect(noon / night).toBeGreaterThan(3);
    expect(noon / 6_000).toBeGreaterThan(0.85);
  });
});

test("a step of 12,000 a second for six seconds leaves the usual rate where it was", () => {
  const baselines = new Baselines();
  const taught: LaneId = "host:udp";
  live(baselines, MONDAY, 2 * HOUR, () => 2_000, { stepMs: 1_000, taught });
  const from = MONDAY + 2 * HOUR;
  live(baselines, from, 6_000, () => 14_000, { stepMs: 1_000, taught });
  expect(baselines.usual(from + 6_000, taught).pps).toBeLessThan(2_200);
});

describe("on disk", () => {
  const taught = () => {
    const baselines = new Baselines();
    live(baselines, MONDAY, 8 * DAY, week(new World(3, "training"), 1_500), { stepMs: 30_000 });
    return baselines;
  };

  test("a restart loses nothing of what is usual at any hour", () => {
    const baselines = taught();
    const read = Baselines.from(JSON.parse(JSON.stringify(baselines)));
    expect(read.isLearned(lane)).toBe(true);
    for (let hour = 0; hour < 168; hour++) {
      const at = MONDAY + 8 * DAY + hour * HOUR;
      expect(read.usual(at, lane).pps).toBeCloseTo(baselines.usual(at, lane).pps, 0);
    }
  });

  test("a lane takes about a kilobyte", () => {
    expect(JSON.stringify(taught()).length).toBeLessThan(1_400);
  });

  const older = {
    [lane]: { peakPps: 9e9, peakBps: 1, fastPps: 1, fastBps: 1, anchorPps: 1, anchorBps: 1, seconds: 9 },
  };
  const whole = JSON.parse(JSON.stringify(taught())) as { version: number; lanes: Record<string, unknown> };
  const kept = whole.lanes[lane] as { state: number[]; week: string };
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a list", []],
    ["words", "version 2"],
    ["what an older agent saved", older],
    ["a newer version", { version: 3, lanes: whole.lanes }],
    ["a lane that is none", { version: 2, lanes: { "udp:1194:everything": kept, __proto__: kept } }],
    ["too short a state", { version: 2, lanes: { [lane]: { ...kept, state: kept.state.slice(1) } } }],
    ["a state of words", { version: 2, lanes: { [lane]: { ...kept, state: kept.state.map(String) } } }],
    ["a negative rate", { version: 2, lanes: { [lane]: { ...kept, state: kept.state.map((value) => -value - 1) } } }],
    ["half a week", { version: 2, lanes: { [lane]: { ...kept, week: kept.week.slice(0, 400) } } }],
    ["no base64", { version: 2, lanes: { [lane]: { ...kept, week: "%".repeat(kept.week.length) } } }],
  ])("%s teaches nothing, and harms nothing", (_, saved) => {
    const baselines = Baselines.from(saved);
    expect(baselines.usual(MONDAY, lane)).toEqual({ pps: 0, bps: 0 });
    baselines.learn(MONDAY, lane, { pps: 10, bps: 10 }, 1);
    expect(baselines.usual(MONDAY, lane).pps).toBe(10);
  });

  test("a lane that has not been seen for five weeks is left behind", () => {
    const baselines = new Baselines();
    baselines.learn(MONDAY, "udp:1:data", { pps: 1, bps: 1 }, 1);
    baselines.learn(MONDAY + 36 * DAY, lane, { pps: 1, bps: 1 }, 1);
    expect(Object.keys((JSON.parse(JSON.stringify(baselines)) as { lanes: object }).lanes)).toEqual([lane]);
  });

  test("no more lanes are kept than a host can have", () => {
    const baselines = new Baselines();
    for (let port = 1; port <= 2_000; port++) baselines.learn(MONDAY, `udp:${port}:data`, { pps: 1, bps: 1 }, 1);
    expect(Object.keys((JSON.parse(JSON.stringify(baselines)) as { lanes: object }).lanes)).toHaveLength(512);
  });
});

describe("the clock", () => {
  test.each([
    ["set back by an hour", -HOUR],
    ["set back by a year", -365 * DAY],
    ["set forward by a week", 7 * DAY],
  ])("%s teaches nothing wrong", (_, leap) => {
    const baselines = new Baselines();
    live(baselines, MONDAY, 8 * DAY, () => 900, { stepMs: 30_000 });
    const from = MONDAY + 8 * DAY + leap;
    expect(live(baselines, from, 3 * HOUR, () => 900)).toEqual([]);
    expect(baselines.usual(from + 3 * HOUR, lane).pps).toBeCloseTo(900, 0);
  });

  test("what passed while the host slept is nobody's rate", () => {
    const baselines = new Baselines();
    live(baselines, MONDAY, HOUR, () => 900);
    baselines.learn(MONDAY + DAY, lane, { pps: 0.1, bps: 100 }, DAY / 1000);
    expect(baselines.usual(MONDAY + DAY, lane).pps).toBeCloseTo(900, 0);
  });
});
