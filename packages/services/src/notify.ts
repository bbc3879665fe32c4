import type { Tx } from "@flowtriq/db/client";
import { LiveFrame } from "@flowtriq/protocol/wire";
import { sql } from "drizzle-orm";
import { z } from "zod";

/** Postgres channels. What is notified in a transaction is heard when, and only if, it commits. */
export const OUTBOX_CHANNEL = "outbox";
export const LIVE_CHANNEL = "live";
export const POLICY_CHANNEL = "policy";

export const LiveNotice = z.strictObject({ workspaceId: z.string(), frame: LiveFrame });
export type LiveNotice = z.infer<typeof LiveNotice>;

/** Tells the workspace's open dashboards that something is new. */
export async function notifyLive(tx: Tx, workspaceId: string, frame: LiveFrame): Promise<void> {
  const notice: LiveNotice = { workspaceId, frame };
  await tx.execute(sql`select pg_notify(${LIVE_CHANNEL}, ${JSON.stringify(notice)})`);
}

/** Tells the processes that hold policy streams of this workspace's nodes. */
export async function notifyPolicy(tx: Tx, workspaceId: string): Promise<void> {
  await tx.execute(sql`select pg_notify(${POLICY_CHANNEL}, ${workspaceId})`);
}
