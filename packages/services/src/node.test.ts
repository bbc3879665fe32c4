import { withWorkspace } from "@flowtriq/db/client";
import { aNode, aWorkspace } from "@flowtriq/db/factories";
import { auditLog } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Context, type NodeContext, systemContext } from "./context.ts";
import { anAttack, anObservation, aReport } from "./factories.ts";
import * as node from "./node.ts";
import * as overview from "./overview.ts";
import * as policy from "./policy.ts";
import { configureServices } from "./runtime.ts";

let db: TestDatabase;
beforeAll(async () => {
  configureServices({ secret: "a secret that is only used by these tests", deployment: { allowLoopback: false } });
  db = await freshDatabase();
});
afterAll(() => db.drop());

const as = (workspaceId: string, role: "viewer" | "operator" | "admin" | "owner"): Context => ({
  workspaceId,
  actor: { kind: "user", userId: "usr_x", role },
  now: new Date(),
});

describe("a policy", () => {
  test("is bumped, kept and audited; one that does not compile, or an edit of an old revision, is not saved", async () => {
    const { id } = await aWorkspace();
    const ctx = as(id, "admin");
    expect(await policy.update(systemContext(id), { policy: { mode: "enforce" }, basedOn: 1 })).toMatchObject({
      revision: 2,
    });
    await expect(policy.update(ctx, { policy: {}, basedOn: 1 })).rejects.toMatchObject({ code: "conflict" });
    await expect(
      policy.update(ctx, { policy: { thresholdsPps: { "udp:51820:everything": 1 } } }),
    ).rejects.toMatchObject({ code: "invalid_input" });
    await expect(policy.update(ctx, { policy: { floorsPps: { "host:everything": 1 } } })).rejects.toMatchObject({
      code: "invalid_input",
    });
    await expect(policy.update(as(id, "operator"), { policy: {} })).rejects.toMatchObject({ code: "forbidden" });
    expect(await policy.get(ctx, {})).toMatchObject({ revision: 2, policy: { mode: "enforce" }, nodes: 0, applied: 0 });
    expect((await policy.history(ctx, {})).map(({ revision }) => revision)).toEqual([2, 1]);
  });

  test("knows on how many nodes it is applied, and which refused it", async () => {
    const { id } = await aWorkspace();
    const nodes = await Promise.all([aNode(id), aNode(id), aNode(id)]);
    const report = (index: number, values: Parameters<typeof aReport>[0]) => {
      const ctx: NodeContext = { workspaceId: id, actor: { kind: "node", nodeId: nodes[index]!.id }, now: new Date() };
      return node.report(ctx, aReport(values));
    };
    await report(0, { appliedRevision: 1 });
    await report(1, { appliedRevision: 0, policyError: "nft: no such table" });
    expect(await policy.get(systemContext(id), {})).toMatchObject({ nodes: 3, applied: 1, refused: 1 });
    await report(1, { appliedRevision: 1 });
    expect(await policy.get(systemContext(id), {})).toMatchObject({ nodes: 3, applied: 2, refused: 0 });
  });
});

describe("nodes", () => {
  test("are never seen, online or silent by when they last reported", async () => {
    const { id } = await aWorkspace();
    const now = new Date();
    const seen = (seconds: number) => ({ lastSeenAt: new Date(now.getTime() - seconds * 1000) });
    await aNode(id, { name: "a" });
    await aNode(id, { name: "b", ...seen(5) });
    await aNode(id, { name: "c", ...seen(31) });
    const { items } = await node.list(systemContext(id, now), {});
    expect(items.map(({ name, status }) => [name, status])).toEqual([
      ["a", "never"],
      ["b", "online"],
      ["c", "silent"],
    ]);
  });

  test("page by cursor, every node once, also with equal names", async () => {
    const { id } = await aWorkspace();
    for (let i = 0; i < 11; i++) await aNode(id, { name: `n${Math.floor(i / 4)}` });
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await node.list(systemContext(id), { limit: 3, cursor });
      names.push(...page.items.map((item) => item.id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    expect(new Set(names).size).toBe(11);
    expect(names).toHaveLength(11);
    expect((await node.list(systemContext(id), { search: "%" })).items).toEqual([]);
    expect((await node.list(systemContext(id), { search: "N1" })).items).toHaveLength(4);
  });

  test("say what they run and protect; what they say again changes nothing", async () => {
    const { id } = await aWorkspace();
    const { id: nodeId } = await aNode(id);
    const ctx: NodeContext = { workspaceId: id, actor: { kind: "node", nodeId }, now: new Date() };
    const port = {
      port: 51820,
      transport: "udp" as const,
      protocol: "wireguard" as const,
      strictness: "auto" as const,
    };
    const ready = {
      ...{ id: "evt_0123456789", at: new Date().toISOString(), event: "agent.ready" as const, version: "0.2.0" },
      ...{
        interfaces: ["eth0"],
        ports: [port],
        mode: "enforce" as const,
        backend: "nftables",
        tunnels: 3,
        adopted: [],
      },
    };
    for (let i = 0; i < 2; i++) await node.report(ctx, aReport({ events: [ready], agentVersion: "0.2.0" }));
    const found = await node.get(systemContext(id), { nodeId });
    expect(found).toMatchObject({
      version: "0.2.0",
      mode: "enforce",
      backend: "nftables",
      ports: [port],
      status: "online",
    });
    expect(found.events).toHaveLength(1);
  });

  test("that were removed are told so", async () => {
    const { id } = await aWorkspace();
    const ctx: NodeContext = { workspaceId: id, actor: { kind: "node", nodeId: "nod_gone" }, now: new Date() };
    await expect(node.report(ctx, aReport({ events: anAttack().all }))).rejects.toMatchObject({
      code: "unauthenticated",
    });
    const reports = [
      { workspaceId: id, nodeId: "nod_gone", report: aReport({ observations: [anObservation(new Date())] }) },
    ];
    expect(await node.reportObservations(reports, new Date())).toEqual(new Map());
  });

  test("a report can only write into its own workspace, whatever it is said to belong to", async () => {
    const [ours, theirs] = [await aWorkspace(), await aWorkspace()];
    const { id: nodeId } = await aNode(theirs.id);
    const observation = anObservation(new Date(Date.now() - 1000), { pps: 123 });
    await node.reportObservations(
      [{ workspaceId: ours.id, nodeId, report: aReport({ observations: [observation] }) }],
      new Date(),
    );
    expect((await overview.get(systemContext(ours.id))).traffic.pps).toBe(0);
    expect((await overview.get(systemContext(theirs.id))).traffic.pps).toBe(123);
    const ctx: NodeContext = { workspaceId: ours.id, actor: { kind: "node", nodeId }, now: new Date() };
    await expect(node.report(ctx, aReport())).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("show how many of their own incidents are open", async () => {
    const { id } = await aWorkspace();
    const hosts = [await aNode(id, { name: "a" }), await aNode(id, { name: "b" }), await aNode(id, { name: "c" })];
    const report = (index: number, events: ReturnType<typeof anAttack>["all"]) => {
      const ctx: NodeContext = { workspaceId: id, actor: { kind: "node", nodeId: hosts[index]!.id }, now: new Date() };
      return node.report(ctx, aReport({ events }));
    };
    await report(0, [anAttack().started, anAttack().started, ...anAttack().all]);
    await report(1, anAttack().all);
    const { items } = await node.list(systemContext(id), {});
    expect(items.map(({ name, openIncidents }) => [name, openIncidents])).toEqual([
      ["a", 2],
      ["b", 0],
      ["c", 0],
    ]);
    expect(await node.get(systemContext(id), { nodeId: hosts[0]!.id })).toMatchObject({ openIncidents: 2 });
  });

  test("a change of name and group is audited", async () => {
    const { id } = await aWorkspace();
    const { id: nodeId } = await aNode(id);
    await node.update(systemContext(id), { nodeId, name: "ams-02", pop: "ams", tags: ["edge"] });
    expect(await node.get(systemContext(id), { nodeId })).toMatchObject({ name: "ams-02", pop: "ams", tags: ["edge"] });
    const rows = await withWorkspace(id, (tx) => tx.select().from(auditLog));
    expect(rows).toMatchObject([{ action: "node.updated", subject: nodeId, detail: { before: { name: "fra-01" } } }]);
    await expect(node.update(systemContext(id), { nodeId: "nod_x", name: "y" })).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

test("the overview answers: is anything wrong, was anyone cut off, is it handled", async () => {
  const { id } = await aWorkspace();
  const now = new Date();
  const hosts = await Promise.all([
    aNode(id, { name: "fra-01", pop: "fra" }),
    aNode(id, { name: "fra-02", pop: "fra", lastSeenAt: new Date(now.getTime() - 120_000) }),
    aNode(id, { name: "ams-01", pop: "ams" }),
  ]);
  const report = (index: number, values: Parameters<typeof aReport>[0]) => {
    const ctx: NodeContext = { workspaceId: id, actor: { kind: "node", nodeId: hosts[index]!.id }, now };
    return node.report(ctx, aReport(values));
  };
  expect(await overview.get(systemContext(id, now))).toMatchObject({
    ...{ openIncidents: [], lastAttack: null, tunnels: null, timeToFirstDrop30d: null, droppedPackets24h: 0 },
    usersDisconnected30d: { users: 0, incidents: 0, unknownIncidents: 0 },
  });
  const start = now.getTime() - 60_000;
  const [over, open] = [anAttack({ start }), anAttack({ start: start + 50_000 })];
  const second = new Date(now.getTime() - 1000);
  await report(0, {
    events: over.all,
    observations: [anObservation(second, { pps: 900, droppedPps: 800, passedPps: 100 })],
  });
  await report(2, { events: [open.started], observations: [anObservation(second, { tunnels: null })] });
  const found = await overview.get(systemContext(id, now));
  expect(found).toMatchObject({
    openIncidents: [{ id: open.attack, nodeName: "ams-01" }],
    latestIncidents: [{ id: open.attack }, { id: over.attack }],
    lastAttack: { id: over.attack },
    silentNodes: [{ name: "fra-02" }],
    nodes: { total: 3, online: 2, silent: 1, never: 0 },
    tunnels: 42,
    traffic: { pps: 1_900, droppedPps: 800 },
    droppedPackets24h: 800,
    timeToFirstDrop30d: { medianMs: 9, p95Ms: 9, incidents: 1 },
    usersDisconnected30d: { users: 0, incidents: 2, unknownIncidents: 0 },
  });
  expect(found.pops.map(({ pop, nodes }) => [pop, nodes.map(({ name, underAttack }) => [name, underAttack])])).toEqual([
    ["ams", [["ams-01", true]]],
    [
      "fra",
      [
        ["fra-01", false],
        ["fra-02", false],
      ],
    ],
  ]);
});
