import type { Policy } from "@flowtriq/protocol/policy";
import { integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { createdAt, tenantPolicies } from "../tenancy.ts";
import { workspace } from "./workspace.ts";

/** The policy of a workspace: every revision is kept, the highest is in force. */
export const policy = pgTable(
  "policy",
  {
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    revision: integer().notNull(),
    policy: jsonb().$type<Policy>().notNull(),
    createdBy: text(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.revision] }), ...tenantPolicies()],
);
