import { integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { moment, tenantPolicies } from "../tenancy.ts";
import { workspace } from "./workspace.ts";

/** Every change, each row holding the hash of the one before it. The application may add rows and read them, no more. */
export const auditLog = pgTable(
  "audit_log",
  {
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    /** From 1, without gaps. */
    seq: integer().notNull(),
    at: moment().notNull(),
    actor: text().notNull(),
    action: text().notNull(),
    subject: text().notNull(),
    detail: jsonb().$type<Record<string, unknown>>().notNull(),
    previousHash: text().notNull(),
    hash: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.seq] }), ...tenantPolicies()],
);
