import { sql } from "drizzle-orm";
import { index, integer, pgPolicy, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import {
  appMayRead,
  appRole,
  createdAt,
  currentWorkspace,
  id,
  moment,
  systemPolicy,
  tenantPolicies,
} from "../tenancy.ts";

export const ROLES = ["viewer", "operator", "admin", "owner"] as const;
export type Role = (typeof ROLES)[number];

export const workspace = pgTable(
  "workspace",
  {
    id: id(),
    name: text().notNull(),
    /** Its part of the address: `/{slug}/incidents`. */
    slug: text().notNull().unique(),
    brandId: text(),
    /** The policy revision that nodes should run. */
    policyRevision: integer().notNull().default(0),
    createdAt: createdAt(),
  },
  () => [
    appMayRead(sql`id = ${currentWorkspace}`),
    pgPolicy("tenant_change", {
      for: "update",
      to: appRole,
      using: sql`id = ${currentWorkspace}`,
      withCheck: sql`id = ${currentWorkspace}`,
    }),
    systemPolicy(),
  ],
);

/** A person. One may be a member of several workspaces; sign-in happens before a workspace is known. */
export const user = pgTable(
  "user",
  {
    id: id(),
    /** In lower case. */
    email: text().notNull().unique(),
    name: text().notNull(),
    passwordHash: text(),
    failedAttempts: integer().notNull().default(0),
    lockedUntil: moment(),
    createdAt: createdAt(),
  },
  () => [
    appMayRead(
      sql`exists (select 1 from member where member.user_id = "user".id and member.workspace_id = ${currentWorkspace})`,
    ),
    systemPolicy(),
  ],
);

export const member = pgTable(
  "member",
  {
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    userId: text()
      .notNull()
      .references(() => user.id, { onDelete: "cascade" }),
    role: text({ enum: ROLES }).notNull(),
    createdAt: createdAt(),
  },
  (t) => [primaryKey({ columns: [t.workspaceId, t.userId] }), index().on(t.userId), ...tenantPolicies()],
);
