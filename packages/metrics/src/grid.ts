import type { Series } from "./store.ts";

/** Steps a chart can have, in seconds; multiples of a minute above 20, so that roll-ups fit them. */
const STEPS = [1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400];
const MAX_POINTS = 10_000;

export type Grid = { step: number; start: number; end: number };

/** The finest step that needs no more than `maxPoints`; start and end in seconds since 1970, multiples of the step. */
export function stepFor(from: Date, to: Date, maxPoints: number): Grid {
  const points = Math.min(Math.max(Math.floor(maxPoints), 1), MAX_POINTS);
  const [first, last] = [from.getTime() / 1000, Math.max(to.getTime(), from.getTime() + 1000) / 1000];
  const aligned = (step: number): Grid => ({
    step,
    start: Math.floor(first / step) * step,
    end: Math.ceil(last / step) * step,
  });
  for (const step of STEPS) {
    const { start, end } = aligned(step);
    if ((end - start) / step <= points) return { step, start, end };
  }
  return aligned(Math.ceil((last - first) / Math.max(points - 1, 1) / 86_400) * 86_400);
}

const COLUMNS = {
  pps: "pps",
  peakPps: "peak_pps",
  bps: "bps",
  droppedPps: "dropped",
  passedPps: "passed_pps",
  passedBps: "passed_bps",
  tunnels: "tunnels",
} as const;

/** Puts rows, each with its `step` number, on the grid. */
export function grid(rows: Iterable<Record<string, unknown>>, { step, start, end }: Grid): Series {
  const length = Math.round((end - start) / step);
  const column = () => new Array<number | null>(length).fill(null);
  const series: Series = {
    stepSeconds: step,
    at: Array.from({ length }, (_, index) => start + index * step),
    ...{ pps: column(), peakPps: column(), bps: column(), droppedPps: column() },
    ...{ passedPps: column(), passedBps: column(), tunnels: column() },
  };
  for (const row of rows) {
    for (const [name, source] of Object.entries(COLUMNS) as [keyof typeof COLUMNS, string][]) {
      const value = row[source];
      if (value !== null) series[name][Number(row.step)] = Number(value);
    }
  }
  return series;
}
