/**
 * Fits the confidence of `classify` on the training half of the generated traffic, and measures it on the other half.
 * Run: npx tsx packages/detection/test/calibrate.ts [cases]
 */
import { type Outcome, outcomes, score } from "./score.ts";

const CERTAIN = 8;
const count = Number(process.argv[2] ?? 4000);

/** Newton's method for a logistic regression of `right` on the margin; a little ridge keeps it finite. */
function fitLogistic(results: readonly Outcome[]): number[] {
  const rows = results.map(({ got: { margin }, right }) => ({
    x: [margin.legitimate ? 0 : 1, margin.legitimate ? 1 : 0, Math.min(margin.score, CERTAIN), margin.doubt],
    y: right ? 1 : 0,
  }));
  let weights = [0, 0, 0, 0];
  for (let round = 0; round < 25; round++) {
    const gradient = weights.map((weight) => -0.1 * weight);
    const hessian = weights.map((_, i) => weights.map((_, j) => (i === j ? 0.1 : 0)));
    for (const { x, y } of rows) {
      const p = 1 / (1 + Math.exp(-x.reduce((sum, value, i) => sum + value * weights[i]!, 0)));
      x.forEach((a, i) => {
        gradient[i]! += (y - p) * a;
        x.forEach((b, j) => {
          hessian[i]![j]! += p * (1 - p) * a * b;
        });
      });
    }
    const step = solve(hessian, gradient);
    weights = weights.map((weight, i) => weight + step[i]!);
  }
  return weights;
}

/** Gauss-Jordan elimination; the matrix is positive definite. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  rows.forEach((pivot, i) => {
    const scale = pivot[i]!;
    for (let k = 0; k < pivot.length; k++) pivot[k]! /= scale;
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[i]!;
      for (let k = 0; k < row.length; k++) row[k]! -= factor * pivot[k]!;
    }
  });
  return rows.map((row) => row.at(-1)!);
}

const [attack, legitimate, perScore, doubt] = fitLogistic([...outcomes("training", count)]);
console.log("CALIBRATION", { attack, legitimate, score: perScore, doubt });
for (const half of ["training", "held-out"] as const) {
  // Other seeds than the tests use, and than were ever looked at while the weights were chosen.
  const first = half === "held-out" ? 1_000_001 : 1;
  const { cases, accuracy, macroF1, falseAlarms, calibrationError, f1 } = score(outcomes(half, count, first));
  console.log(half, { cases, accuracy, macroF1, falseAlarms, calibrationError });
  const weakest = [...f1].sort(([, a], [, b]) => a - b).slice(0, 6);
  console.log("weakest:", weakest.map(([label, value]) => `${label} ${value.toFixed(3)}`).join(", "));
}
