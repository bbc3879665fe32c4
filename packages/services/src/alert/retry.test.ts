import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_ATTEMPTS, retryDelayMs } from "./retry.ts";

test("the first retry comes within a second, and the waits double up to half an hour", () => {
  const longest = Array.from({ length: MAX_ATTEMPTS - 1 }, (_, index) => retryDelayMs(index + 1, 1));
  expect(longest.slice(0, 5)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
  expect(Math.max(...longest)).toBe(30 * 60_000);
  const hours = longest.reduce((sum, ms) => sum + ms, 0) / 3_600_000;
  expect(hours).toBeGreaterThan(4);
  expect(hours).toBeLessThan(6);
});

test("a retry never comes sooner than asked for, nor is it put off for more than an hour or half the plan", () => {
  const lot = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      lot,
      fc.integer({ min: 0, max: 1e12 }),
      (attempt, random, asked) => {
        const delay = retryDelayMs(attempt, random, asked);
        expect(delay).toBeGreaterThanOrEqual(Math.min(asked, 3_600_000));
        expect(delay).toBeGreaterThanOrEqual(500);
        expect(delay).toBeLessThanOrEqual(3_600_000);
      },
    ),
  );
});

test("many alerts that failed at once come back spread out", () => {
  const delays = Array.from({ length: 100 }, (_, index) => retryDelayMs(5, index / 100));
  expect(new Set(delays).size).toBe(100);
  expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(7_000);
});
