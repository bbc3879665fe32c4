import type { AppliedMitigation, Profile } from "@flowtriq/protocol/event";
import type { LaneId, Transport } from "@flowtriq/protocol/lane";
import type { Mode } from "@flowtriq/protocol/policy";
import type { Severity, TrafficVerdict } from "@flowtriq/protocol/vector";
import {
  doublePrecision,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  real,
  text,
} from "drizzle-orm/pg-core";
import { moment, tenantPolicies } from "../tenancy.ts";
import { node } from "./node.ts";
import { user, workspace } from "./workspace.ts";

export const INCIDENT_STATUSES = ["open", "ended"] as const;
export type IncidentStatus = (typeof INCIDENT_STATUSES)[number];

export type IncidentRule = AppliedMitigation & { dryRun: boolean; hits: { packets: number; bytes: number } | null };

/**
 * The workspace's record of an attack; its id is the attack's id, minted on the node, unique in the workspace.
 * All columns but `acknowledged…` follow from the node's events, in whatever order they came.
 */
export const incident = pgTable(
  "incident",
  {
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    id: text().notNull(),
    nodeId: text().notNull(),
    status: text({ enum: INCIDENT_STATUSES }).notNull(),
    vector: text().$type<TrafficVerdict>().notNull(),
    confidence: real().notNull(),
    severity: text().$type<Severity>().notNull(),
    lane: text().$type<LaneId>(),
    port: integer(),
    transport: text().$type<Transport>(),
    mode: text().$type<Mode>(),
    acknowledgedBy: text().references(() => user.id, { onDelete: "set null" }),
    acknowledgedAt: moment(),

    startedAt: moment().notNull(),
    firstPacketAt: moment(),
    trippedAt: moment(),
    /** When rules that drop were first in force. */
    rulesAt: moment(),
    classifiedAt: moment(),
    endedAt: moment(),

    thresholdPps: doublePrecision(),
    peakPps: doublePrecision().notNull().default(0),
    peakBps: doublePrecision().notNull().default(0),
    packets: doublePrecision(),
    droppedPackets: doublePrecision(),
    passedPackets: doublePrecision(),

    tunnelsBefore: integer(),
    tunnelsLowest: integer(),
    tunnelsAfter: integer(),
    /** Null: nobody could tell. */
    usersDisconnected: integer(),

    profile: jsonb().$type<Profile>(),
    evidence: jsonb().$type<string[]>().notNull().default([]),
    rules: jsonb().$type<IncidentRule[]>().notNull().default([]),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.id] }),
    foreignKey({ columns: [t.workspaceId, t.nodeId], foreignColumns: [node.workspaceId, node.id] }).onDelete("cascade"),
    index("incident_newest").on(t.workspaceId, t.startedAt.desc(), t.id.desc()),
    index("incident_by_node").on(t.workspaceId, t.nodeId, t.startedAt.desc()),
    ...tenantPolicies(),
  ],
);

export const TIMELINE_ACTORS = ["kernel", "agent", "service", "alerts", "user"] as const;
export type TimelineActor = (typeof TIMELINE_ACTORS)[number];

/** The timeline. An event of the node keeps its id, so that a second report adds nothing. */
export const incidentEvent = pgTable(
  "incident_event",
  {
    workspaceId: text().notNull(),
    incidentId: text().notNull(),
    id: text().notNull(),
    at: moment().notNull(),
    actor: text({ enum: TIMELINE_ACTORS }).notNull(),
    kind: text().notNull(),
    text: text().notNull(),
    data: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.incidentId, t.id] }),
    foreignKey({
      columns: [t.workspaceId, t.incidentId],
      foreignColumns: [incident.workspaceId, incident.id],
    }).onDelete("cascade"),
    ...tenantPolicies(),
  ],
);
