import { withSystem, withWorkspace } from "@flowtriq/db/client";
import { aMember, aWorkspace } from "@flowtriq/db/factories";
import { auditLog, channel as channelTable, outbox, user as userTable } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as brand from "./brand.ts";
import * as channel from "./channel.ts";
import { type Context, systemContext } from "./context.ts";
import { DEMO_EMAIL, DEMO_PASSWORD, seed } from "./demo.ts";
import * as node from "./node.ts";
import * as overview from "./overview.ts";
import * as policy from "./policy.ts";
import { configureServices, seal, unseal } from "./runtime.ts";
import { verifyPassword } from "./user.ts";
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
