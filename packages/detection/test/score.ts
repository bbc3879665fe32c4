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

/** A crowd that comes back is legitimate traffic. */
export type Label = Exclude<TrafficVerdict, "reconnect_storm"> | "legitimate";
export const labelOf = (verdict: TrafficVerdict | null | undefined): Label =>
  verdict === null || verdict === undefined || verdict === "reconnect_storm" ? "legitimate" : verdict;

/** What something is, and what it was called; without a confidence where nothing was said. */
export interface Answer {
  expected: Label;
  found: Label;
  confidence?: number;
}

export interface Row {
  n: number;
  precision: number;
  recall: number;
  f1: number;
}

const LABELS: readonly Label[] = [...VECTORS, "legitimate"];
const BINS = 10;

/**
 * Precision, recall and F1 by label, their macro-averaged F1, and the expected calibration error over ten bins of confidence.
 * A label counts in the average if anything is it or was called it.
 */
export function figures(answers: readonly Answer[]) {
  const rows = new Map<Label, Row>();
  for (const label of LABELS) {
    const n = answers.filter(({ expected }) => expected === label).length;
    const called = answers.filter(({ found }) => found === label).length;
    const hits = answers.filter(({ expected, found }) => expected === label && found === label).length;
    if (n + called === 0) continue;
    rows.set(label, {
      n,
      precision: hits / Math.max(1, called),
      recall: hits / Math.max(1, n),
      f1: (2 * hits) / (n + called),
    });
  }
  const said = answers.filter(({ confidence }) => confidence !== undefined);
  const bins = Array.from({ length: BINS }, () => ({ count: 0, right: 0, confidence: 0 }));
  for (const { expected, found, confidence = 0 } of said) {
    const bin = bins[Math.min(BINS - 1, Math.floor(confidence * BINS))]!;
    bin.count++;
    bin.confidence += confidence;
    if (expected === found) bin.right++;
  }
  return {
    n: answers.length,
    right: answers.filter(({ expected, found }) => expected === found).length,
    rows,
    macroF1: [...rows.values()].reduce((sum, { f1 }) => sum + f1, 0) / Math.max(1, rows.size),
    calibrationError:
      bins.reduce((sum, { right, confidence }) => sum + Math.abs(right - confidence), 0) / Math.max(1, said.length),
  };
}

export const answerOf = ({ given, got }: Outcome): Answer => ({
  expected: labelOf(given.expected),
  found: labelOf(got.vector),
  confidence: got.confidence,
});

/** The figures of generated cases. */
export function score(results: Iterable<Outcome>) {
  const answers = [...results].map(answerOf);
  const { n, right, rows, macroF1, calibrationError } = figures(answers);
  return {
    cases: n,
    accuracy: right / n,
    macroF1,
    f1: new Map([...rows].map(([label, { f1 }]) => [label, f1])),
    falseAlarms: answers.filter(({ expected, found }) => expected === "legitimate" && found !== expected).length,
    calibrationError,
  };
}
