import type { Tx } from "@flowtriq/db/client";
import { outbox } from "@flowtriq/db/schema/outbox";
import { sql } from "drizzle-orm";
import type { Context } from "./context.ts";
import { newId } from "./ids.ts";
import type { JobName, JobPayload } from "./jobs.ts";
import { OUTBOX_CHANNEL } from "./notify.ts";

/**
 * Asks the worker for a job, if and when this transaction commits. With a key, at most one such job is ever asked for in the
 * workspace.
 */
export async function enqueue<N extends JobName>(
  tx: Tx,
  { workspaceId }: Pick<Context, "workspaceId">,
  job: N,
  payload: JobPayload<N>,
  { once }: { once?: string } = {},
): Promise<void> {
  await tx
    .insert(outbox)
    .values({ id: newId("job"), workspaceId, job, payload, dedupeKey: once ?? null })
    .onConflictDoNothing({ target: [outbox.workspaceId, outbox.dedupeKey] });
  await tx.execute(sql`select pg_notify(${OUTBOX_CHANNEL}, '')`);
}
