import type { LaneId } from "@flowtriq/protocol/lane";
import { beforeEach, expect, test } from "vitest";
import { ClosedLoop, type Rollback } from "./closed-loop.ts";

const lane: LaneId = "udp:51820:malformed";
let loop: ClosedLoop;
let at: number;
let data: number;
let taken: number;

beforeEach(() => {
  loop = new ClosedLoop();
  [at, data, taken] = [0, 0, 0];
});

/** Seconds in which known peers get so many packets through and the rules take so many from addresses of peers. */
function pass(
  seconds: number,
  pps: number,
  takenPps: number,
  wanted: LaneId[] = [lane],
  calm?: boolean,
): Rollback["action"][] {
  const actions: Rollback["action"][] = [];
  for (let i = 0; i < seconds; i++) {
    at += 1_000;
    data += pps;
    taken += takenPps;
    const reading = { at, data: new Map([["udp:51820", data]]), taken: new Map([[lane, taken]]) };
    actions.push(...loop.read(reading, wanted, calm).map(({ action }) => action));
  }
  return actions;
}

test("a rule that takes from peers whose traffic falls is rolled back, and stays so when that helps", () => {
  pass(20, 1_000, 0, []);
  expect(pass(2, 200, 800)).toEqual(["rolled_back"]);
  expect(loop.rolledBack).toEqual([lane]);
  expect(pass(10, 950, 0)).toEqual([]);
  expect(loop.rolledBack).toEqual([lane]);
});

test("where it does not help the rule was not to blame and stands again", () => {
  pass(20, 1_000, 0, []);
  pass(2, 200, 800);
  expect(pass(10, 200, 800)).toEqual(["restored"]);
  expect(loop.rolledBack).toEqual([]);
});

test("forged addresses of peers alone roll nothing back, nor does a full link", () => {
  pass(20, 1_000, 0, []);
  expect(pass(10, 980, 50_000)).toEqual([]);
  expect(pass(10, 100, 0)).toEqual([]);
});

test("an attack does not teach what is usual, and the next one begins anew", () => {
  pass(20, 1_000, 0, []);
  pass(60, 300, 0);
  expect(pass(2, 200, 800)).toEqual(["rolled_back"]);
  pass(2, 1_000, 0, []);
  expect(loop.rolledBack).toEqual([]);
});

test("nor does what is suspected, or came in the second before", () => {
  pass(20, 1_000, 0, []);
  pass(1, 30_000, 0, []);
  pass(2, 90_000, 0, [], false);
  expect(pass(10, 700, 90_000)).toEqual([]);
});

test("a handful of packets is no picture of anybody's peers", () => {
  pass(20, 10, 0, []);
  expect(pass(10, 0, 10)).toEqual([]);
});
