import { withSystem } from "@flowtriq/db/client";
import { aNode, aWorkspace } from "@flowtriq/db/factories";
import { nodeMinute, nodeSecond } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { metrics, type NodeObservation } from "./store.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await freshDatabase();
});
afterAll(() => db.drop());

const START = Date.parse("2026-03-01T12:00:00Z");
const at = (second: number) => new Date(START + second * 1000);

/** The second that begins `second` seconds after the start. */
const seen = (nodeId: string, second: number, pps: number, more = {}): NodeObservation => ({
  nodeId,
  observation: {
    at: at(second + 1).toISOString(),
    pps,
    bps: pps * 1000,
    droppedPps: pps / 2,
    passedPps: pps / 2,
    passedBps: pps * 500,
    tunnels: 10,
    lanes: [{ lane: "udp:51820:data", pps, bps: pps * 1000, droppedPps: 0 }],
    ...more,
  },
});

async function aHost() {
  const { id: workspaceId } = await aWorkspace();
  const { id } = await aNode(workspaceId);
  const read = (from: number, to: number, maxPoints = 1000) =>
    metrics.series({ workspaceId, nodeIds: [id], from: at(from), to: at(to), maxPoints });
  return { workspaceId, id, read };
}

test("a second can be read as soon as it is written, and a gap is a gap", async () => {
  const { workspaceId, id, read } = await aHost();
  await metrics.write([seen(id, 0, 100), seen(id, 2, 300, { tunnels: null })]);
  expect(await read(0, 4)).toEqual({
    stepSeconds: 1,
    at: [0, 1, 2, 3].map((second) => START / 1000 + second),
    pps: [100, null, 300, null],
    peakPps: [100, null, 300, null],
    bps: [100_000, null, 300_000, null],
    droppedPps: [50, null, 150, null],
    passedPps: [50, null, 150, null],
    passedBps: [50_000, null, 150_000, null],
    tunnels: [10, null, null, null],
  });
  expect(await metrics.latest({ workspaceId, now: at(10) })).toMatchObject([
    { nodeId: id, at: at(2), pps: 300, tunnels: null, lanes: [{ lane: "udp:51820:data", pps: 300 }] },
  ]);
  expect(await metrics.latest({ workspaceId, now: at(100) })).toEqual([]);
});

test("reporting twice, before or after packing, changes nothing", async () => {
  const { id, read } = await aHost();
  const batch = Array.from({ length: 90 }, (_, second) => seen(id, second, second + 1));
  await metrics.write(batch);
  await metrics.write(batch);
  const before = await read(0, 90);
  expect(before.pps).toEqual(batch.map(({ observation }) => observation.pps));
  await metrics.compact(at(200));
  expect(await read(0, 90)).toEqual(before);
  await metrics.write(batch.slice(30, 70));
  expect(await read(0, 90)).toEqual(before);
  await metrics.compact(at(200));
  expect(await read(0, 90)).toEqual(before);
  const left = await withSystem((tx) => tx.select().from(nodeSecond).where(eq(nodeSecond.nodeId, id)));
  expect(left).toEqual([]);
});

test("a late second joins its packed minute", async () => {
  const { id, read } = await aHost();
  await metrics.write([seen(id, 0, 1), seen(id, 59, 60)]);
  await metrics.compact(at(100));
  await metrics.write([seen(id, 30, 31)]);
  await metrics.compact(at(200));
  const { pps } = await read(0, 60);
  expect([pps[0], pps[30], pps[59], pps.filter((value) => value !== null).length]).toEqual([1, 31, 60, 3]);
  const rows = await withSystem((tx) => tx.select().from(nodeMinute).where(eq(nodeMinute.nodeId, id)));
  expect(rows.map((row) => row.pps.length)).toEqual([60]);
});

test("a minute that is not over yet stays as seconds", async () => {
  const { id } = await aHost();
  await metrics.write([seen(id, 61, 1)]);
  expect(await metrics.compact(at(100))).toEqual({ minutes: 0 });
});

test("long ranges read the roll-up and show the same means, peaks and lowest tunnels, packed or not", async () => {
  const { id, read } = await aHost();
  const batch = Array.from({ length: 240 }, (_, second) =>
    seen(id, second, second === 100 ? 60_100 : 100, { tunnels: second === 10 ? 3 : 10 }),
  );
  await metrics.write(batch);
  const before = await read(0, 240, 4);
  await metrics.compact(at(150));
  const after = await read(0, 240, 4);
  expect(after).toEqual(before);
  expect(after.stepSeconds).toBe(60);
  expect(after.peakPps).toEqual([100, 60_100, 100, 100]);
  expect(after.pps).toEqual([100, 1100, 100, 100]);
  expect(after.tunnels).toEqual([3, 10, 10, 10]);
});

test("nodes are added up, and only those of the workspace that asks", async () => {
  const { workspaceId, id } = await aHost();
  const second = await aNode(workspaceId);
  const other = await aHost();
  await metrics.write([seen(id, 0, 100), seen(second.id, 0, 50), seen(other.id, 0, 7)]);
  const query = { workspaceId, from: at(0), to: at(1), maxPoints: 10 };
  expect((await metrics.series(query)).pps).toEqual([150]);
  expect((await metrics.series({ ...query, nodeIds: [other.id] })).pps).toEqual([null]);
  expect((await metrics.latest({ workspaceId, nodeIds: [other.id], now: at(5) })).length).toBe(0);
  expect(await metrics.droppedPackets({ workspaceId, since: at(-10) })).toBe(75);
});

test("absurd figures are clipped and spoil nobody's seconds", async () => {
  const { id, read } = await aHost();
  const honest = await aHost();
  await metrics.write([
    seen(id, 0, 1e300, { tunnels: 2 ** 50, bps: 1e-300 }),
    seen("nod_unknown", 0, 1),
    seen(honest.id, 0, 5),
  ]);
  expect((await read(0, 1)).tunnels).toEqual([10_000_000]);
  expect((await honest.read(0, 1)).pps).toEqual([5]);
});
