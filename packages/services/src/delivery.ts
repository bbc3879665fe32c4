import { alertDelivery, channel } from "@flowtriq/db/schema/channel";
import { incident } from "@flowtriq/db/schema/incident";
import { node } from "@flowtriq/db/schema/node";
import { and, desc, eq, lt, or, type SQL } from "drizzle-orm";
import { z } from "zod";
import { InvalidInput } from "./errors.ts";
import { verb } from "./verb.ts";

export const ListInput = z.strictObject({
  channelId: z.string().max(64).optional(),
  /** `nextCursor` of the page before. */
  cursor: z.string().max(200).optional(),
  limit: z.number().int().min(1).max(200).default(50),
});

export type DeliverySummary = Awaited<ReturnType<typeof list>>["items"][number];

/** The delivery log, newest first: what was sent where, and how long it took. */
export const list = verb("viewer", ListInput, async (tx, _ctx, { channelId, cursor, limit }) => {
  const rows = await tx
    .select({
      id: alertDelivery.id,
      incidentId: alertDelivery.incidentId,
      vector: incident.vector,
      nodeName: node.name,
      channelId: alertDelivery.channelId,
      channelName: channel.name,
      transition: alertDelivery.transition,
      status: alertDelivery.status,
      attempts: alertDelivery.attempts,
      latencyMs: alertDelivery.latencyMs,
      response: alertDelivery.response,
      createdAt: alertDelivery.createdAt,
    })
    .from(alertDelivery)
    .innerJoin(channel, eq(channel.id, alertDelivery.channelId))
    .innerJoin(incident, eq(incident.id, alertDelivery.incidentId))
    .innerJoin(node, eq(node.id, incident.nodeId))
    .where(and(channelId ? eq(alertDelivery.channelId, channelId) : undefined, cursor ? after(cursor) : undefined))
    .orderBy(desc(alertDelivery.createdAt), desc(alertDelivery.id))
    .limit(limit + 1);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? `${last.createdAt.toISOString()} ${last.id}` : null };
});

function after(cursor: string): SQL | undefined {
  const [moment = "", id = ""] = cursor.split(" ");
  const createdAt = new Date(moment);
  if (Number.isNaN(createdAt.getTime()) || !/^[A-Za-z0-9_-]{1,64}$/.test(id))
    throw new InvalidInput("cursor: not one of ours");
  return or(
    lt(alertDelivery.createdAt, createdAt),
    and(eq(alertDelivery.createdAt, createdAt), lt(alertDelivery.id, id)),
  );
}
