import { sql } from "drizzle-orm";
import { pgPolicy, pgRole, text, timestamp } from "drizzle-orm/pg-core";

/** Connections of the product: they see the rows of the workspace that their transaction names, and no other. */
export const appRole = pgRole("app").existing();

/** What must work across tenants: look-ups before the tenant is known, relay, roll-ups, sign-in. */
export const systemRole = pgRole("app_system").existing();

// After one transaction in a pooled connection the setting is an empty string, not null.
const current = sql`nullif(current_setting('app.workspace', true), '')`;

/** The row policies of a table with a `workspace_id`. */
export const tenantPolicies = () => [
  pgPolicy("tenant", {
    for: "all",
    to: appRole,
    using: sql`workspace_id = ${current}`,
    withCheck: sql`workspace_id = ${current}`,
  }),
  systemPolicy(),
];

export const systemPolicy = () =>
  pgPolicy("system", { for: "all", to: systemRole, using: sql`true`, withCheck: sql`true` });

/** A policy of the application role on a table that is bound to the tenant by something else than a column of its own. */
export const appMayRead = (condition: ReturnType<typeof sql>) =>
  pgPolicy("tenant_read", { for: "select", to: appRole, using: condition });

export const currentWorkspace = current;

export const id = () => text().primaryKey();
export const workspaceId = () => text().notNull();
export const moment = () => timestamp({ withTimezone: true, precision: 3 });
export const createdAt = () => moment().notNull().defaultNow();
