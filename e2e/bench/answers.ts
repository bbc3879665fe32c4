import type { Judged } from "../../packages/detection/test/judged.ts";
import { type Answer, figures, type Label, labelOf, type Row } from "../../packages/detection/test/score.ts";

export const BARS = { macroF1: 0.95, calibrationError: 0.05 };

/** What a capture is, and what it is called. */
export interface Named {
  name: string;
  /** By the node, while it arrives. */
  live: Answer;
  /** By the classifier that is shown all that arrived, whether or not a rate tripped. */
  whole: Answer;
}

export const namedBy = (name: string, expected: Label, { live, whole }: Judged): Named => ({
  name,
  live: { expected, found: labelOf(live?.verdict), ...(live && { confidence: live.confidence }) },
  whole: { expected, found: labelOf(whole.vector), confidence: whole.confidence },
});

export const said = ({ expected, found, confidence }: Answer): string =>
  `${found === expected ? "" : "NOT "}${expected}${found === expected ? "" : ` but ${found}`}${confidence === undefined ? "" : ` ${confidence.toFixed(2)}`}`;

const share = (value: number) => value.toFixed(3);

/** One line for each label, and for each set its count, precision, recall and F1. */
export function table(sets: Record<string, readonly Answer[]>): string {
  const columns = Object.entries(sets).map(([name, answers]) => ({ name, rows: figures(answers).rows }));
  const labels = [...new Set(columns.flatMap(({ rows }) => [...rows.keys()]))];
  const cell = (row: Row | undefined) =>
    row ? `${String(row.n).padStart(5)} ${share(row.precision)} ${share(row.recall)} ${share(row.f1)}` : "".padEnd(23);
  const head = columns.map(({ name }) => `${name}: n, precision, recall, F1`.padEnd(35)).join("");
  const lines = labels.map(
    (label) => `${label.padEnd(27)} ${columns.map(({ rows }) => cell(rows.get(label)).padEnd(35)).join("")}`,
  );
  return [`${"".padEnd(28)}${head}`, ...lines].map((line) => line.trimEnd()).join("\n");
}

/** Macro-F1 and calibration of each set, beside the bars. */
export function sums(sets: Record<string, readonly Answer[]>): { lines: string[]; missed: boolean } {
  let missed = false;
  const lines = Object.entries(sets).map(([name, answers]) => {
    const { n, right, macroF1, calibrationError } = figures(answers);
    if (n > 0 && (macroF1 < BARS.macroF1 || calibrationError > BARS.calibrationError)) missed = true;
    return (
      `${name.padEnd(28)} ${`${right} of ${n} right`.padEnd(22)} macro-F1 ${share(macroF1)}  bar: ${BARS.macroF1}   ` +
      `calibration error ${share(calibrationError)}  bar: ${BARS.calibrationError}`
    );
  });
  return { lines, missed };
}
