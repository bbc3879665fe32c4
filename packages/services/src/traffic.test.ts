import { aNode, aWorkspace } from "@flowtriq/db/factories";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemContext } from "./context.ts";
import * as delivery from "./delivery.ts";
import { anObservation, aReport } from "./factories.ts";
import * as node from "./node.ts";
import { configureServices } from "./runtime.ts";
import * as traffic from "./traffic.ts";

let db: TestDatabase;
beforeAll(async () => {
  configureServices({ secret: "a secret that is only used by these tests", deployment: { allowLoopback: false } });
  db = await freshDatabase();
});
afterAll(() => db.drop());

const LANE = { lane: "udp:51820:data" as const, pps: 900, bps: 7e6, droppedPps: 0 };
const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);

test("the traffic of a workspace is that of its nodes, of one when asked, and of nobody else's", async () => {
  const [mine, other] = await Promise.all([aWorkspace(), aWorkspace()]);
  const [one, two, foreign] = await Promise.all([aNode(mine.id), aNode(mine.id), aNode(other.id)]);
  const now = new Date();
  const end = new Date(now.getTime() - 2000);
  for (const [workspaceId, { id }] of [
    [mine.id, one],
    [mine.id, two],
    [other.id, foreign],
  ] as const) {
    const observations = [anObservation(end, { lanes: [LANE] })];
    await node.report({ workspaceId, actor: { kind: "node", nodeId: id }, now }, aReport({ observations }));
  }
  const ctx = { ...systemContext(mine.id), now };
  expect(known((await traffic.series(ctx, {})).pps)).toEqual([2000]);
  expect(known((await traffic.series(ctx, { nodeId: one.id })).pps)).toEqual([1000]);
  expect(known((await traffic.series(ctx, { nodeId: foreign.id })).pps)).toEqual([]);
  expect((await traffic.lanes(ctx, { nodeId: one.id })).lanes).toEqual([LANE]);
  expect(await traffic.lanes(ctx, { nodeId: foreign.id })).toEqual({ at: null, lanes: [] });
});

test.each([{ seconds: 1 }, { seconds: 1e9 }, { maxPoints: 1e6 }, { nodeId: "n".repeat(65) }, { more: 1 }])(
  "a series of %j is refused",
  async (input) => {
    const { id } = await aWorkspace();
    await expect(traffic.series(systemContext(id), input)).rejects.toMatchObject({ code: "invalid_input" });
  },
);

test.each(["", "x", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z '; drop table node"])(
  "a delivery log does not go on from %j",
  async (cursor) => {
    const { id } = await aWorkspace();
    const asked = delivery.list(systemContext(id), { cursor });
    if (cursor === "") expect(await asked).toEqual({ items: [], nextCursor: null });
    else await expect(asked).rejects.toMatchObject({ code: "invalid_input" });
  },
);
