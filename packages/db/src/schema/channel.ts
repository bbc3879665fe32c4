import { boolean, foreignKey, index, integer, pgTable, primaryKey, text, unique } from "drizzle-orm/pg-core";
import { createdAt, id, moment, tenantPolicies } from "../tenancy.ts";
import { incident } from "./incident.ts";
import { workspace } from "./workspace.ts";

/** A destination of alerts. Its settings are sealed whole: the address of a webhook is a secret too. */
export const channel = pgTable(
  "channel",
  {
    id: id(),
    workspaceId: text()
      .notNull()
      .references(() => workspace.id, { onDelete: "cascade" }),
    kind: text().notNull(),
    name: text().notNull(),
    enabled: boolean().notNull().default(true),
    /** Sealed by `services/secrets`. */
    settings: text().notNull(),
    createdAt: createdAt(),
    updatedAt: createdAt(),
  },
  (t) => [unique("channel_tenant").on(t.workspaceId, t.id), ...tenantPolicies()],
);

export const TRANSITIONS = ["opened", "classified", "ended", "acknowledged"] as const;
export type Transition = (typeof TRANSITIONS)[number];

/** One message to one channel: at most one row per incident, channel and transition, however often it is tried. */
export const alertDelivery = pgTable(
  "alert_delivery",
  {
    workspaceId: text().notNull(),
    incidentId: text().notNull(),
    channelId: text().notNull(),
    transition: text({ enum: TRANSITIONS }).notNull(),
    /** Also the message's id towards the receiver, so that it can tell a repetition. */
    id: text().notNull(),
    status: text({ enum: ["pending", "delivered", "failed"] }).notNull(),
    attempts: integer().notNull().default(0),
    /** From the transition's moment to the receiver's answer, in milliseconds. */
    latencyMs: integer(),
    /** What the receiver answered, shortened; or the error. */
    response: text(),
    createdAt: createdAt(),
    deliveredAt: moment(),
  },
  (t) => [
    primaryKey({ columns: [t.workspaceId, t.incidentId, t.channelId, t.transition] }),
    foreignKey({
      columns: [t.workspaceId, t.incidentId],
      foreignColumns: [incident.workspaceId, incident.id],
    }).onDelete("cascade"),
    foreignKey({ columns: [t.workspaceId, t.channelId], foreignColumns: [channel.workspaceId, channel.id] }).onDelete(
      "cascade",
    ),
    index("delivery_newest").on(t.workspaceId, t.createdAt.desc()),
    ...tenantPolicies(),
  ],
);
