import { sql } from "drizzle-orm";
import { bigint, index, jsonb, pgTable, text, unique } from "drizzle-orm/pg-core";
import { createdAt, id, moment, tenantPolicies } from "../tenancy.ts";
import { workspace } from "./workspace.ts";

/** What must follow a change, written in the change's transaction; the row's id is the job's id. */
export const outbox = pgTable(
  "outbox",
  {
    id: id(),
    seq: bigint({ mode: "number" }).notNull().generatedAlwaysAsIdentity(),
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    job: text().notNull(),
    payload: jsonb().$type<Record<string, unknown>>().notNull(),
    /** At most one row of a workspace has this key; a second one is not added. */
    dedupeKey: text(),
    createdAt: createdAt(),
    /** When the relay handed it to the queue; null while it waits. */
    relayedAt: moment(),
  },
  (t) => [
    unique("outbox_once").on(t.workspaceId, t.dedupeKey),
    index("outbox_waiting").on(t.seq).where(sql`relayed_at is null`),
    ...tenantPolicies(),
  ],
);
