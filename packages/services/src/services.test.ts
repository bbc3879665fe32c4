import { withSystem, withWorkspace } from "@flowtriq/db/client";
import { aMember, aNode, aWorkspace } from "@flowtriq/db/factories";
import { auditLog, channel as channelTable, outbox, user as userTable } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audit, verifyChain } from "./audit.ts";
import * as brand from "./brand.ts";
import * as channel from "./channel.ts";
import { type Context, type NodeContext, systemContext } from "./context.ts";
import { DEMO_EMAIL, DEMO_PASSWORD, seed } from "./demo.ts";
import { anAttack, anObservation, aReport } from "./factories.ts";
import * as node from "./node.ts";
import * as overview from "./overview.ts";
import * as policy from "./policy.ts";
import { configureServices, seal, unseal } from "./runtime.ts";
import { verifyPassword } from "./user.ts";
import { verb } from "./verb.ts";
import * as workspace from "./workspace.ts";

let db: TestDatabase;
beforeAll(async () => {
  configureServices({ secret: "a secret that is only used by these tests", deployment: { allowLoopback: false } });
  db = await freshDatabase();
});
afterAll(() => db.drop());

const system = { actor: { kind: "system" as const }, now: new Date() };
const as = (workspaceId: string, role: "viewer" | "operator" | "admin" | "owner"): Context => ({
  workspaceId,
  actor: { kind: "user", userId: "usr_x", role },
  now: new Date(),
});

describe("the audit log", () => {
  async function aLog() {
    const { id } = await aWorkspace();
    for (const mode of ["approve", "enforce", "observe"] as const) {
      await policy.update(systemContext(id), { policy: { mode } });
    }
    const chain = () => withSystem((tx) => verifyChain(tx, id));
    return { id, chain };
  }

  test("is whole, counts every change, and holds also when many write at once", async () => {
    const { id, chain } = await aLog();
    expect(await chain()).toEqual({ intact: true, length: 3 });
    await Promise.all(Array.from({ length: 12 }, () => node.createEnrolmentToken(systemContext(id), {})));
    expect(await chain()).toEqual({ intact: true, length: 15 });
  });

  test.each([
    ["a changed action", "update audit_log set action = 'x' where seq = 2", 2],
    ["a changed detail", `update audit_log set detail = '{"after":{}}' where seq = 2`, 2],
    ["a changed moment", "update audit_log set at = at + interval '1 ms' where seq = 1", 1],
    ["a changed actor", "update audit_log set actor = 'user:usr_x' where seq = 3", 3],
    ["a row taken from the middle", "delete from audit_log where seq = 2", 2],
    [
      "two rows swapped",
      "update audit_log set seq = case seq when 1 then 12 when 2 then 11 else seq end where seq < 3",
      1,
    ],
    ["a hash made new for one row", "update audit_log set action = 'x', hash = repeat('0', 64) where seq = 2", 2],
  ])("shows %s, made by the database's owner", async (_name, statement, brokenAt) => {
    const { id, chain } = await aLog();
    await db.owner.unsafe(`${statement} and workspace_id = '${id}'`);
    expect(await chain()).toEqual({ intact: false, brokenAt });
  });

  test("forgets what a transaction that failed wanted to note", async () => {
    const { id } = await aWorkspace();
    const fails = verb("viewer", z.strictObject({}), async (tx, ctx) => {
      audit(tx, ctx, "x.happened", "x");
      throw new Error("afterwards");
    });
    await expect(fails(systemContext(id), {})).rejects.toThrow("afterwards");
    expect(await withWorkspace(id, (tx) => tx.select().from(auditLog))).toEqual([]);
  });
});

describe("a verb", () => {
  test("is open to its role and those above, and to nobody else", async () => {
    const { id } = await aWorkspace();
    const operate = verb("operator", z.strictObject({}), async () => "done");
    const report = verb("node", z.strictObject({}), async () => "done");
    const nodeCtx: Context = { workspaceId: id, actor: { kind: "node", nodeId: "nod_x" }, now: new Date() };
    for (const role of ["operator", "admin", "owner"] as const) expect(await operate(as(id, role), {})).toBe("done");
    expect(await operate(systemContext(id), {})).toBe("done");
    expect(await report(nodeCtx, {})).toBe("done");
    for (const ctx of [as(id, "viewer"), nodeCtx]) {
      await expect(operate(ctx, {})).rejects.toMatchObject({ code: "forbidden", status: 403 });
    }
    for (const ctx of [as(id, "owner"), systemContext(id)]) {
      await expect(report(ctx, {})).rejects.toMatchObject({ code: "forbidden" });
    }
  });

  test("names what is wrong with its input", async () => {
    const { id } = await aWorkspace();
    await expect(
      policy.update(systemContext(id), { policy: { sensitivity: 0.5, neverBlock: ["10.0.0.0/99"] } }),
    ).rejects.toMatchObject({
      code: "invalid_input",
      issues: [{ path: "policy.sensitivity" }, { path: "policy.neverBlock.0" }],
    });
  });
});

describe("signing in", () => {
  const email = (name: string) => `${name}@example.test`;
  const create = (name: string) =>
    workspace.create(system, {
      workspaceName: "Northern VPN",
      ownerName: name,
      email: email(name),
      password: "correct horse battery",
    });

  test("needs the right password, whatever the case of the address", async () => {
    const made = await create("ada");
    expect(await verifyPassword({ email: "ADA@example.test ", password: "correct horse battery" })).toEqual({
      ...{ id: made.userId, email: email("ada"), name: "ada" },
      memberships: [{ workspaceId: made.workspaceId, slug: made.slug, workspaceName: "Northern VPN", role: "owner" }],
    });
    for (const [address, password] of [
      [email("ada"), "wrong"],
      [email("nobody"), "correct horse battery"],
      ["", ""],
      ["ada@example.test' or 1=1", "x"],
      [email("ada"), "x".repeat(5000)],
    ]) {
      expect(await verifyPassword({ email: address!, password: password! })).toBeUndefined();
    }
  });

  test("is closed for a while after many wrong passwords, and opens again", async () => {
    await create("bob");
    const now = new Date();
    const right = (at: Date) => verifyPassword({ email: email("bob"), password: "correct horse battery" }, at);
    for (let i = 0; i < 8; i++) await verifyPassword({ email: email("bob"), password: "guess" }, now);
    expect(await right(now)).toBeUndefined();
    expect(await right(new Date(now.getTime() + 61_000))).toBeDefined();
    expect(await right(now)).toBeDefined();
  });

  test("an address has one account, and two workspaces of one name have two addresses", async () => {
    const [first, second] = [await create("eve"), await create("mallory")];
    expect(second.slug).not.toBe(first.slug);
    await expect(create("eve")).rejects.toMatchObject({ code: "conflict" });
    expect(await workspace.get(systemContext(first.workspaceId), {})).toMatchObject({
      name: "Northern VPN",
      policyRevision: 1,
    });
    const [row] = await withSystem((tx) =>
      tx
        .select()
        .from(userTable)
        .where(eq(userTable.email, email("eve"))),
    );
    expect(row?.passwordHash).toMatch(/^\$argon2id\$/);
  });
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

describe("channels", () => {
  const url = "https://hooks.slack.com/services/T000/B000/verysecret";

  test("show where they lead and keep the rest to themselves", async () => {
    const { id } = await aWorkspace();
    const ctx = as(id, "admin");
    const made = await channel.create(ctx, { kind: "slack", name: "NOC", settings: { url } });
    expect(made).toMatchObject({ kind: "slack", name: "NOC", enabled: true, target: "hooks.slack.com" });
    expect(JSON.stringify(await channel.list(as(id, "viewer"), {}))).not.toContain("verysecret");
    const [row] = await withWorkspace(id, (tx) => tx.select().from(channelTable));
    expect(JSON.stringify(row)).not.toContain("verysecret");
    expect(channel.settingsOf(row!)).toEqual({ url });
    expect(JSON.stringify(await withWorkspace(id, (tx) => tx.select().from(auditLog)))).not.toContain("verysecret");
  });

  test("are refused with settings that do not fit their kind, or that lead inside", async () => {
    const { id } = await aWorkspace();
    for (const settings of [{}, { url: "http://127.0.0.1:9/x" }, { url: "https://10.0.0.1/" }, { url, more: 1 }]) {
      await expect(channel.create(as(id, "admin"), { kind: "slack", name: "x", settings })).rejects.toMatchObject({
        code: "invalid_input",
      });
    }
    expect(await channel.list(as(id, "viewer"), {})).toEqual([]);
  });

  test("are changed, tested and removed by those who may", async () => {
    const { id } = await aWorkspace();
    const ctx = as(id, "admin");
    const { id: channelId } = await channel.create(ctx, { kind: "slack", name: "NOC", settings: { url } });
    expect(await channel.update(ctx, { channelId, enabled: false })).toMatchObject({
      enabled: false,
      target: "hooks.slack.com",
    });
    await channel.test(as(id, "operator"), { channelId });
    const jobs = await withWorkspace(id, (tx) => tx.select().from(outbox));
    expect(jobs).toMatchObject([{ job: "channel.test", payload: { channelId } }]);
    await expect(channel.remove(as(id, "operator"), { channelId })).rejects.toMatchObject({ code: "forbidden" });
    await channel.remove(ctx, { channelId });
    await expect(channel.remove(ctx, { channelId })).rejects.toMatchObject({ code: "not_found" });
  });

  test("sealed text does not open for another owner, when changed, or under another version", () => {
    const sealed = seal("secret", "chn_1");
    expect(unseal(sealed, "chn_1")).toBe("secret");
    expect(seal("secret", "chn_1")).not.toBe(sealed);
    const changed = `v1.${Buffer.from(Buffer.from(sealed.slice(3), "base64url").map((byte, i) => (i === 20 ? byte ^ 1 : byte))).toString("base64url")}`;
    for (const [text, owner] of [
      [sealed, "chn_2"],
      [changed, "chn_1"],
      [sealed.replace("v1", "v2"), "chn_1"],
      ["", "chn_1"],
      ["v1.AAAA", "chn_1"],
    ]) {
      expect(() => unseal(text!, owner!)).toThrow();
    }
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

test("the demonstration is seeded once, keeps its data, and invents no incident", async () => {
  configureServices({ secret: "a secret that is only used by these tests", deployment: { allowLoopback: true } });
  const first = await seed({ slackUrl: "http://127.0.0.1:4003/services/x" });
  expect(await verifyPassword({ email: DEMO_EMAIL, password: DEMO_PASSWORD })).toMatchObject({
    memberships: [{ workspaceId: first.workspaceId, role: "owner" }],
  });
  const enrolled = await node.enroll(new Date(), {
    ...{
      token: first.enrolmentToken,
      machineId: "machine-1",
      hostname: "fra-1",
      agentVersion: "0.1.0",
      kernel: "6.1",
      ports: [],
    },
  });
  expect(enrolled.policy).toMatchObject({ revision: 2, policy: { mode: "enforce" } });
  const ctx = systemContext(first.workspaceId);
  await policy.update(ctx, { policy: { mode: "approve" } });
  const second = await seed({
    slackUrl: "http://127.0.0.1:4999/services/y",
    webhookUrl: "http://127.0.0.1:4999/webhook",
  });
  expect(second).toMatchObject({ workspaceId: first.workspaceId, slug: first.slug });
  expect((await policy.get(ctx, {})).policy.mode).toBe("approve");
  expect((await channel.list(ctx, {})).map(({ kind, target }) => [kind, target])).toEqual([
    ["slack", "127.0.0.1:4999"],
    ["webhook", "127.0.0.1:4999"],
  ]);
  const { items } = await node.list(ctx, {});
  expect(items).toMatchObject([{ name: "fra-1", pop: "fra" }]);
  expect((await overview.get(ctx)).latestIncidents).toEqual([]);
  expect(await brand.byHost("localhost:3000")).toMatchObject({ name: DEFAULT_BRAND.name, workspaceId: null });
  expect(await brand.byHost("elsewhere.example")).toBeUndefined();
});

test("a person is visible to the workspaces they belong to, and to no other", async () => {
  const [one, two] = [await aWorkspace(), await aWorkspace()];
  const ada = await aMember(one.id, "owner");
  await aMember(two.id, "viewer");
  const names = (id: string) => withWorkspace(id, (tx) => tx.select({ id: userTable.id }).from(userTable));
  expect(await names(one.id)).toEqual([{ id: ada.id }]);
  expect((await names(two.id)).map(({ id }) => id)).not.toContain(ada.id);
});
