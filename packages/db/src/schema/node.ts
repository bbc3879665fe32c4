import type { VpnPort } from "@flowtriq/protocol/lane";
import type { Mode } from "@flowtriq/protocol/policy";
import { foreignKey, integer, jsonb, pgTable, primaryKey, text, unique } from "drizzle-orm/pg-core";
import { createdAt, id, moment, tenantPolicies } from "../tenancy.ts";
import { workspace } from "./workspace.ts";

/** One monitored host. Whether it is online follows from `lastSeenAt`. */
export const node = pgTable(
  "node",
  {
    id: id(),
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    name: text().notNull(),
    hostname: text().notNull(),
    /** Chosen once by the node: enrolling twice gives the same row. */
    machineId: text().notNull(),
    /** SHA-256 of the node key, in hexadecimal. */
    keyHash: text().notNull().unique("node_key"),
    pop: text(),
    region: text(),
    tags: text().array().notNull().default([]),
    version: text().notNull(),
    kernel: text().notNull(),
    /** What the node says it protects, and how. */
    ports: jsonb().$type<VpnPort[]>().notNull().default([]),
    mode: text().$type<Mode>(),
    backend: text(),
    appliedRevision: integer().notNull().default(0),
    policyError: text(),
    tunnels: integer(),
    createdAt: createdAt(),
    firstSeenAt: moment(),
    /** Written at most every few seconds: the seconds themselves are in the metrics store. */
    lastSeenAt: moment(),
  },
  (t) => [
    unique("node_machine").on(t.workspaceId, t.machineId),
    unique("node_tenant").on(t.workspaceId, t.id),
    ...tenantPolicies(),
  ],
);

export const enrolmentToken = pgTable(
  "enrolment_token",
  {
    id: id(),
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    hash: text().notNull().unique(),
    label: text().notNull(),
    pop: text(),
    region: text(),
    tags: text().array().notNull().default([]),
    /** Null: as often as wanted until it expires. */
    usesLeft: integer(),
    uses: integer().notNull().default(0),
    expiresAt: moment().notNull(),
    createdBy: text(),
    createdAt: createdAt(),
  },
  () => [...tenantPolicies()],
);

/** What a node says of itself, incidents apart: ready, stopped, warnings, policies applied or refused. */
export const nodeEvent = pgTable(
  "node_event",
  {
    workspaceId: text().notNull(),
    nodeId: text().notNull(),
    id: text().notNull(),
    at: moment().notNull(),
    event: text().notNull(),
    data: jsonb().$type<Record<string, unknown>>().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.nodeId, t.id] }),
    foreignKey({ columns: [t.workspaceId, t.nodeId], foreignColumns: [node.workspaceId, node.id] }).onDelete("cascade"),
    ...tenantPolicies(),
  ],
);
