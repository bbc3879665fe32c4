import { withSystem, withWorkspace } from "@flowtriq/db/client";
import { aWorkspace } from "@flowtriq/db/factories";
import { auditLog } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audit, verifyChain } from "./audit.ts";
import { type Context, systemContext } from "./context.ts";
import * as node from "./node.ts";
import * as policy from "./policy.ts";
import { configureServices } from "./runtime.ts";
import { verb } from "./verb.ts";

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
