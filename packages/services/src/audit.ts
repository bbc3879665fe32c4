import { createHash } from "node:crypto";
import type { Tx } from "@flowtriq/db/client";
import { auditLog } from "@flowtriq/db/schema/audit";
import { asc, desc, eq, gt, sql } from "drizzle-orm";
import { actorName, type Context } from "./context.ts";

type Entry = { at: Date; actor: string; action: string; subject: string; detail: Record<string, unknown> };
type Pending = { workspaceId: string; entries: Entry[] };

// The rows are written at the end of the transaction: each one holds the hash of the one before it, so writers queue here,
// and a lock that is taken last, and by all, can deadlock with nothing.
const pending = new WeakMap<Tx, Pending>();
const ROOT_HASH = "0".repeat(64);

/** Notes a change; the row is part of the same transaction. `detail` says what changed and holds no secret. */
export function audit(
  tx: Tx,
  ctx: Context,
  action: string,
  subject: string,
  detail: Record<string, unknown> = {},
): void {
  const found = pending.get(tx) ?? { workspaceId: ctx.workspaceId, entries: [] };
  if (found.workspaceId !== ctx.workspaceId) throw new Error("A transaction audits one workspace.");
  found.entries.push({ at: ctx.now, actor: actorName(ctx.actor), action, subject, detail });
  pending.set(tx, found);
}

/** Writes what `audit` noted. The transaction's opener calls it last. */
export async function flushAudit(tx: Tx): Promise<void> {
  const found = pending.get(tx);
  if (!found) return;
  pending.delete(tx);
  const { workspaceId, entries } = found;
  await tx.execute(sql`select pg_advisory_xact_lock(hashtext('audit_log'), hashtext(${workspaceId}))`);
  const [last] = await tx
    .select({ seq: auditLog.seq, hash: auditLog.hash })
    .from(auditLog)
    .where(eq(auditLog.workspaceId, workspaceId))
    .orderBy(desc(auditLog.seq))
    .limit(1);
  let { seq, hash } = last ?? { seq: 0, hash: ROOT_HASH };
  const rows = entries.map((entry) => {
    const previousHash = hash;
    seq += 1;
    hash = hashOf(workspaceId, seq, entry, previousHash);
    return { workspaceId, seq, ...entry, previousHash, hash };
  });
  await tx.insert(auditLog).values(rows);
}

export type Chain = { intact: true; length: number } | { intact: false; brokenAt: number };

/** Recomputes a workspace's chain. Rows that were changed, added, reordered or taken from its middle break it. */
export async function verifyChain(tx: Tx, workspaceId: string): Promise<Chain> {
  let hash = ROOT_HASH;
  let seq = 0;
  for (;;) {
    const rows = await tx
      .select()
      .from(auditLog)
      .where(sql`${eq(auditLog.workspaceId, workspaceId)} and ${gt(auditLog.seq, seq)}`)
      .orderBy(asc(auditLog.seq))
      .limit(1000);
    if (rows.length === 0) return { intact: true, length: seq };
    for (const row of rows) {
      const sound =
        row.seq === seq + 1 && row.previousHash === hash && row.hash === hashOf(workspaceId, row.seq, row, hash);
      if (!sound) return { intact: false, brokenAt: seq + 1 };
      seq = row.seq;
      hash = row.hash;
    }
  }
}

function hashOf(workspaceId: string, seq: number, entry: Entry, previousHash: string): string {
  const { at, actor, action, subject, detail } = entry;
  const text = canonical([previousHash, workspaceId, seq, at.toISOString(), actor, action, subject, detail]);
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with sorted keys: jsonb does not keep their order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner) && !(inner instanceof Date)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
