import { expect, test } from "vitest";
import { trafficLog } from "./traffic.ts";

const frame = (nodeId: string, second: number, passedPps: number, droppedPps = 0) => ({
  type: "observation" as const,
  nodeId,
  at: new Date((second + 1) * 1000).toISOString(),
  pps: passedPps + droppedPps,
  bps: 0,
  droppedPps,
  passedPps,
  tunnels: null,
});

test("the seconds of all nodes add up, and a second that is still being reported is held back", () => {
  const log = trafficLog(60);
  log.add([frame("a", 1000, 10, 5), frame("b", 1000, 20), frame("a", 1001, 30)], 1010);
  expect(log.after([], 2000)).toContainEqual({ at: 1000, passedPps: 30, droppedPps: 5 });
  expect(log.after([], 2000).at(-1)?.at).toBe(1000);
});

test("a second that nobody reported is unknown, not zero", () => {
  const log = trafficLog(60);
  log.add([frame("a", 1002, 7), frame("a", 1004, 9), frame("a", 1005, 9)], 1010);
  const seconds = log.after([{ at: 1001, passedPps: 1, droppedPps: 0 }], 2000);
  expect(seconds.map(({ passedPps }) => passedPps)).toEqual([1, 7, null, 9]);
});

test("what the server remembers wins over what was heard of the same second", () => {
  const log = trafficLog(60);
  log.add([frame("a", 1000, 1), frame("a", 1001, 2), frame("a", 1002, 3)], 1010);
  const seconds = log.after([{ at: 1000, passedPps: 100, droppedPps: 0 }], 2000);
  expect(seconds).toEqual([
    { at: 1000, passedPps: 100, droppedPps: 0 },
    { at: 1001, passedPps: 2, droppedPps: 0 },
  ]);
});

test("a node whose clock runs ahead does not push the others out of the window", () => {
  const log = trafficLog(60);
  log.add([frame("a", 9_000_000, 1), frame("b", 1000, 1), frame("b", 1001, 2)], 1001);
  expect(log.after([], 1001)).toContainEqual({ at: 1000, passedPps: 1, droppedPps: 0 });
});

test("a hole in what the server remembers is filled with what was heard", () => {
  const log = trafficLog(60);
  log.add([frame("a", 1001, 5), frame("a", 1002, 6), frame("a", 1003, 7)], 1010);
  const history = [1000, 1001, 1002].map((at) => ({
    at,
    passedPps: at === 1000 ? 4 : null,
    droppedPps: at === 1000 ? 0 : null,
  }));
  expect(log.after(history, 1010).map(({ passedPps }) => passedPps)).toEqual([4, 5, 6]);
});
