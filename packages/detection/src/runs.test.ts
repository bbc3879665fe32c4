import { expect, test } from "vitest";
import { judgedRun, runs } from "../test/tools/runs.ts";

test("floods as tools send them are called by their names: one in nine of those that `npm run bench -- classify` measures", () => {
  const called: string[] = [];
  const expected: string[] = [];
  for (const run of runs("sealed", 1, 9)) {
    expected.push(`${run.name}: ${run.vector}`);
    called.push(`${run.name}: ${judgedRun(run).live?.verdict}`);
  }
  expect(called).toEqual(expected);
  expect(called.length).toBeGreaterThan(10);
}, 60_000);
