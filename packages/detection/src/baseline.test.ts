import { expect, test } from "vitest";
import { emptyBaseline, learn, normal } from "./baseline.ts";

const taught = (pps: number, seconds: number) => {
  let baseline = emptyBaseline();
  for (let at = 0; at < seconds; at += 10) baseline = learn(baseline, pps, pps * 8000, 10);
  return baseline;
};

test("steady traffic becomes normal within a minute", () => {
  expect(normal(taught(5_000, 60)).pps).toBeCloseTo(5_000, 0);
});

test("growth of 2 % a minute for three hours is above three times normal at its end", () => {
  let baseline = taught(5_000, 7 * 86_400);
  let pps = 5_000;
  let noticed = false;
  for (let minute = 0; minute < 180; minute++) {
    pps *= 1.02;
    for (let at = 0; at < 60; at += 10) {
      if (pps > 3 * normal(baseline).pps) noticed = true;
      else baseline = learn(baseline, pps, 0, 10);
    }
  }
  expect(noticed).toBe(true);
});

test("a busy evening of four times the average stays normal", () => {
  let baseline = taught(5_000, 3 * 86_400);
  for (let at = 0; at < 3600; at += 10) baseline = learn(baseline, 20_000, 0, 10);
  expect(20_000).toBeLessThan(3 * normal(baseline).pps);
});

test("what was never seen has no normal rate", () => {
  expect(normal(undefined)).toEqual({ pps: 0, bps: 0 });
});
