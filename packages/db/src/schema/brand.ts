import { sql } from "drizzle-orm";
import { jsonb, pgPolicy, pgTable, text } from "drizzle-orm/pg-core";
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
import { workspace } from "./workspace.ts";

/** A reseller's identity. The default brand belongs to no workspace and is seen by all. */
export const brand = pgTable(
  "brand",
  {
    id: id(),
    workspaceId: text().references(() => workspace.id, { onDelete: "cascade" }),
    name: text().notNull(),
    agentName: text().notNull(),
    supportEmail: text().notNull(),
    logoUrl: text(),
    /** Theme tokens, as `@flowtriq/theme` reads them. */
    tokens: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    createdAt: createdAt(),
  },
  () => [
    appMayRead(sql`workspace_id is null`),
    pgPolicy("tenant", {
      for: "all",
      to: appRole,
      using: sql`workspace_id = ${currentWorkspace}`,
      withCheck: sql`workspace_id = ${currentWorkspace}`,
    }),
    systemPolicy(),
  ],
);

export const domain = pgTable(
  "domain",
  {
    host: text().primaryKey(),
    workspaceId: text().references(() => workspace.id, { onDelete: "cascade" }),
    brandId: text()
      .notNull()
      .references(() => brand.id, { onDelete: "cascade" }),
    status: text({ enum: ["pending", "verified", "failed"] }).notNull(),
    token: text(),
    verifiedAt: moment(),
    reason: text(),
    createdAt: createdAt(),
  },
  () => [...tenantPolicies()],
);
