import { type TrafficVerdict, VECTORS } from "@flowtriq/protocol/vector";
import { type Classification, classify } from "../src/classify.ts";
import { type Case, generate } from "./traffic.ts";
import type { Half } from "./world.ts";

export interface Outcome {
  given: Case;
  got: Classification;
  right: boolean;
}

export function* outcomes(half: Half, count: number, first = 1): Generator<Outcome> {
  for (let seed = first; seed < first + count; seed++) {
    const given = generate(seed, half);
    const got = classify(given.summary);
    yield {
      given,
      got,
      right: (got.vector ?? null) === (given.expected === "reconnect_storm" ? null : given.expected),
    };
  }
}

type Label = TrafficVerdict | "legitimate";

/** Macro-averaged F1 over the vectors and legitimate traffic, and expected calibration error over ten bins. */
export function score(results: Iterable<Outcome>) {
  const labels: Label[] = [...VECTORS, "legitimate"];
  const table = new Map(labels.map((label) => [label, { hit: 0, missed: 0, wrong: 0 }]));
  const bins = Array.from({ length: 10 }, () => ({ count: 0, right: 0, confidence: 0 }));
  let right = 0;
  let all = 0;
  for (const { given, got, right: good } of results) {
    const expected = given.expected === null || given.expected === "reconnect_storm" ? "legitimate" : given.expected;
    const found = got.vector ?? "legitimate";
    all++;
    if (good) right++;
    if (good) table.get(expected)!.hit++;
    else {
      table.get(expected)!.missed++;
      table.get(found)!.wrong++;
    }
    const bin = bins[Math.min(9, Math.floor(got.confidence * 10))]!;
    bin.count++;
    bin.confidence += got.confidence;
    if (good) bin.right++;
  }
  const f1 = new Map(
    [...table].map(([label, { hit, missed, wrong }]) => [
      label,
      hit === 0 ? 0 : (2 * hit) / (2 * hit + missed + wrong),
    ]),
  );
  return {
    cases: all,
    accuracy: right / all,
    macroF1: [...f1.values()].reduce((sum, value) => sum + value, 0) / f1.size,
    f1,
    falseAlarms: table.get("legitimate")!.missed,
    calibrationError: bins.reduce((sum, { right: good, confidence }) => sum + Math.abs(good - confidence), 0) / all,
    bins,
  };
}
