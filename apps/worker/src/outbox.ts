import { database } from "@flowtriq/db/client";
import { z } from "zod";

// The relay's side of the outbox: a row lives until its job is done, so whatever the queue loses can be given to it again.

const OutboxRow = z.object({
  id: z.string(),
  seq: z.coerce.number(),
  workspaceId: z.string(),
  job: z.string(),
  payload: z.record(z.string(), z.unknown()),
  createdAtMs: z.number(),
});
export type OutboxRow = z.infer<typeof OutboxRow>;

const BATCH = 200;
/** A job that Redis still has is not added twice, so asking too early costs little. */
const DOUBT_AFTER_SECONDS = 60;

const system = () => database().raw.system;

/**
 * Hands waiting rows, oldest first, to `accept`, and marks them when it has returned; if it throws they wait on. Rows that
 * another worker is handing over are left to it. Returns their number.
 */
export function relayBatch(accept: (rows: OutboxRow[]) => Promise<void>): Promise<number> {
  return system().begin(async (tx) => {
    const taken = await tx`
      update outbox set relayed_at = now()
      where id in (
        select id from outbox
        where relayed_at is null or relayed_at < now() - make_interval(secs => ${DOUBT_AFTER_SECONDS})
        order by seq limit ${BATCH} for update skip locked)
      returning id, seq, workspace_id as "workspaceId", job, payload, (extract(epoch from created_at) * 1000)::float8 as "createdAtMs"`;
    const rows = taken.map((row) => OutboxRow.parse(row)).sort((a, b) => a.seq - b.seq);
    if (rows.length > 0) await accept(rows);
    return rows.length;
  });
}

/** All unfinished rows wait again: the queue may have lost them. */
export async function relayAgain(): Promise<void> {
  await system()`update outbox set relayed_at = null where relayed_at is not null`;
}

/** The job is done, for good. */
export async function finish(id: string): Promise<void> {
  await system()`delete from outbox where id = ${id}`;
}

export async function isUnfinished(id: string): Promise<boolean> {
  return (await system()`select 1 from outbox where id = ${id}`).length > 0;
}

/** Gives up what could not be done in a week; says what that was. */
export async function giveUp(olderThanDays = 7): Promise<{ id: string; job: string }[]> {
  return system()<{ id: string; job: string }[]>`
    delete from outbox where created_at < now() - make_interval(days => ${olderThanDays}) returning id, job`;
}
