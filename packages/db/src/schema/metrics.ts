import type { LaneSecond } from "@flowtriq/protocol/observation";
import { integer, jsonb, pgTable, primaryKey, real, smallint, text } from "drizzle-orm/pg-core";
import { moment, tenantPolicies } from "../tenancy.ts";

// No foreign keys here: these rows are written tens of thousands of times a second, joined to `node` as they are.

/** The last minutes, one row a second: what was acknowledged is on disk, and a repetition is one index look-up. */
export const nodeSecond = pgTable(
  "node_second",
  {
    workspaceId: text().notNull(),
    nodeId: text().notNull(),
    /** Start of the second. */
    at: moment().notNull(),
    pps: real().notNull(),
    bps: real().notNull(),
    droppedPps: real().notNull(),
    passedPps: real().notNull(),
    passedBps: real().notNull(),
    tunnels: integer(),
    lanes: jsonb().$type<LaneSecond[]>(),
  },
  (t) => [primaryKey({ columns: [t.nodeId, t.at] }), ...tenantPolicies()],
);

/** A node's minute in one row: each array holds 60 values, one a second, null where nothing was reported. */
export const nodeMinute = pgTable(
  "node_minute",
  {
    workspaceId: text().notNull(),
    nodeId: text().notNull(),
    minute: moment().notNull(),
    pps: real().array().notNull(),
    bps: real().array().notNull(),
    droppedPps: real().array().notNull(),
    passedPps: real().array().notNull(),
    passedBps: real().array().notNull(),
    tunnels: real().array().notNull(),
  },
  (t) => [primaryKey({ columns: [t.nodeId, t.minute] }), ...tenantPolicies()],
);

/** The same minute in one number per column, for long ranges. */
export const nodeMinuteRollup = pgTable(
  "node_minute_rollup",
  {
    workspaceId: text().notNull(),
    nodeId: text().notNull(),
    minute: moment().notNull(),
    /** How many of the 60 were reported. */
    seconds: smallint().notNull(),
    meanPps: real().notNull(),
    peakPps: real().notNull(),
    meanBps: real().notNull(),
    peakBps: real().notNull(),
    meanDroppedPps: real().notNull(),
    meanPassedPps: real().notNull(),
    peakPassedPps: real().notNull(),
    meanPassedBps: real().notNull(),
    tunnelsLowest: integer(),
    tunnelsHighest: integer(),
  },
  (t) => [primaryKey({ columns: [t.nodeId, t.minute] }), ...tenantPolicies()],
);
