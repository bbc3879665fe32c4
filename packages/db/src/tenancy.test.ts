import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withSystem, withWorkspace } from "./client.ts";
import { aMember, aNode, anIncident, aWorkspace } from "./factories.ts";
import { migrate } from "./migrate.ts";
import { brand, incident, member, node, outbox, user, workspace } from "./schema.ts";
import { freshDatabase, type TestDatabase } from "./testing.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await freshDatabase();
});
afterAll(() => db.drop());

type TableRow = { name: string; enabled: boolean; forced: boolean; tenant: boolean; policies: string[] | null };

test("every table has forced row policies, and one of them is the tenant's", async () => {
  const rows = (await db.system.execute(sql`
    select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
      exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id') as tenant,
      (select array_agg(p.policyname || ' ' || p.cmd || ' ' || coalesce(p.qual, '')) from pg_policies p
        where p.schemaname = 'public' and p.tablename = c.relname and 'app' = any(p.roles)) as policies
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p')`)) as unknown as TableRow[];
  expect(rows.length).toBeGreaterThan(15);
  const unbound = ["workspace", "user"]; // bound by their id and by membership
  for (const row of rows) {
    expect(row, row.name).toMatchObject({ enabled: true, forced: true });
    expect(row.tenant, row.name).toBe(!unbound.includes(row.name));
    expect(row.policies?.length, `${row.name} has no policy for the application`).toBeGreaterThan(0);
    for (const policy of row.policies ?? []) {
      expect(policy, row.name).toMatch(/current_setting\('app\.workspace'|brand|workspace_id IS NULL/);
    }
  }
});

test("a forgotten where shows nothing of another tenant, in any table", async () => {
  const [ours, theirs] = [await aWorkspace(), await aWorkspace()];
  for (const { id } of [ours, theirs]) {
    await aMember(id);
    const host = await aNode(id);
    await anIncident(id, host.id);
    await withSystem((tx) => tx.insert(outbox).values({ id: `job_${id}`, workspaceId: id, job: "x", payload: {} }));
    await withSystem((tx) =>
      tx
        .insert(brand)
        .values({ id: `brd_${id}`, workspaceId: id, name: "B", agentName: "b", supportEmail: "b@b.test" }),
    );
  }
  await withWorkspace(ours.id, async (tx) => {
    for (const table of [node, incident, member, outbox, brand]) {
      const rows = await tx.select().from(table);
      expect(rows.map((row) => row.workspaceId)).toEqual([ours.id]);
    }
    expect((await tx.select().from(workspace)).map((row) => row.id)).toEqual([ours.id]);
    expect(await tx.select().from(user)).toHaveLength(1);
    await tx.update(node).set({ name: "mine" });
    await tx.delete(incident);
  });
  const names = await withSystem((tx) => tx.select({ workspaceId: node.workspaceId, name: node.name }).from(node));
  expect(names).toContainEqual({ workspaceId: theirs.id, name: "fra-01" });
  expect((await withSystem((tx) => tx.select().from(incident))).map((row) => row.workspaceId)).toEqual([theirs.id]);
});

test("outside a tenant's transaction the application sees nothing, on a used connection as on a new one", async () => {
  const ours = await aWorkspace();
  await aNode(ours.id);
  for (let i = 0; i < 6; i++) await withWorkspace(ours.id, (tx) => tx.select().from(node));
  for (let i = 0; i < 6; i++) expect(await db.app.select().from(node)).toEqual([]);
});

test("a row cannot be written into, or moved to, another tenant", async () => {
  const [ours, theirs] = [await aWorkspace(), await aWorkspace()];
  const host = await aNode(theirs.id);
  await expect(
    withWorkspace(ours.id, (tx) =>
      tx.insert(outbox).values({ id: "job_x", workspaceId: theirs.id, job: "x", payload: {} }),
    ),
  ).rejects.toMatchObject({ cause: { code: "42501" } });
  await aNode(ours.id);
  await expect(withWorkspace(ours.id, (tx) => tx.update(node).set({ workspaceId: theirs.id }))).rejects.toMatchObject({
    cause: { code: "42501" },
  });
  // An incident of ours cannot hang on a node of theirs either.
  await expect(anIncident(ours.id, host.id)).rejects.toMatchObject({ cause: { code: "23503" } });
});

test.each(["update audit_log set action = 'x'", "delete from audit_log", "truncate audit_log"])(
  "nobody but the owner may run %j",
  async (statement) => {
    await expect(db.app.execute(sql.raw(statement))).rejects.toMatchObject({ cause: { code: "42501" } });
    await expect(db.system.execute(sql.raw(statement))).rejects.toMatchObject({ cause: { code: "42501" } });
  },
);

test("migrating twice, and twice at once, changes nothing", async () => {
  await Promise.all([migrate(db.url), migrate(db.url)]);
  expect(await db.app.select().from(node)).toEqual([]);
});
