import { expect, test } from "vitest";
import { ObservationClock } from "./observe.ts";
import { SteadyClock } from "./steady.ts";

const HOUR_MS = 3_600_000;

test("a clock set back an hour moves nothing until it is followed", () => {
  let wall = 1_800_000_000_000;
  let monotonic = 5_000.25;
  const clock = new SteadyClock(
    () => wall,
    () => monotonic,
  );
  expect(clock.now()).toBe(wall);
  wall += 250 - HOUR_MS;
  monotonic += 250;
  expect(clock.now()).toBe(1_800_000_000_250);
  expect(clock.follow()).toBe(-HOUR_MS);
  expect(clock.now()).toBe(wall);
  expect(clock.follow()).toBe(0);
});

test("no observation covers a jump of the clock, and the next second is whole again", () => {
  const observations = new ObservationClock();
  const counts = (packets: number) =>
    new Map([["host:udp" as const, { packets, bytes: 0, dropped: 0, droppedBytes: 0, finished: 0 }]]);
  const at = 1_800_000_000_000;
  expect(observations.second(at + 10, counts(0), null)).toBeUndefined();
  expect(observations.second(at + 1_010, counts(100), null)?.pps).toBe(100);
  expect(observations.second(at + 2_010 - HOUR_MS, counts(200), null)).toBeUndefined();
  expect(observations.second(at + 3_010 - HOUR_MS, counts(350), null)?.pps).toBe(150);
});
