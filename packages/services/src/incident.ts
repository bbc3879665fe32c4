import type { Tx } from "@flowtriq/db/client";
import { alertDelivery, channel } from "@flowtriq/db/schema/channel";
import { INCIDENT_STATUSES, incident, incidentEvent } from "@flowtriq/db/schema/incident";
import { node } from "@flowtriq/db/schema/node";
import { user } from "@flowtriq/db/schema/workspace";
import { metrics, type Series } from "@flowtriq/metrics/store";
import { AttackId } from "@flowtriq/protocol/event";
import { TrafficVerdict } from "@flowtriq/protocol/vector";
import { and, asc, desc, eq, gte, lt, or, type SQL } from "drizzle-orm";
import { z } from "zod";
import { audit } from "./audit.ts";
import type { Context } from "./context.ts";
import { Forbidden, InvalidInput, NotFound } from "./errors.ts";
import { newId } from "./ids.ts";
import { notifyLive } from "./notify.ts";
import { enqueue } from "./outbox.ts";
import { verb } from "./verb.ts";

export { record } from "./incident/record.ts";

const summaryColumns = {
  id: incident.id,
  nodeId: incident.nodeId,
  nodeName: node.name,
  pop: node.pop,
  status: incident.status,
  vector: incident.vector,
  confidence: incident.confidence,
  severity: incident.severity,
  lane: incident.lane,
  port: incident.port,
  transport: incident.transport,
  mode: incident.mode,
  startedAt: incident.startedAt,
  firstPacketAt: incident.firstPacketAt,
  rulesAt: incident.rulesAt,
  endedAt: incident.endedAt,
  peakPps: incident.peakPps,
  peakBps: incident.peakBps,
  packets: incident.packets,
  droppedPackets: incident.droppedPackets,
  passedPackets: incident.passedPackets,
  tunnelsBefore: incident.tunnelsBefore,
  tunnelsLowest: incident.tunnelsLowest,
  tunnelsAfter: incident.tunnelsAfter,
  usersDisconnected: incident.usersDisconnected,
  acknowledgedAt: incident.acknowledgedAt,
};

const detailColumns = {
  ...summaryColumns,
  trippedAt: incident.trippedAt,
  classifiedAt: incident.classifiedAt,
  thresholdPps: incident.thresholdPps,
  profile: incident.profile,
  evidence: incident.evidence,
  rules: incident.rules,
  acknowledgedBy: { id: user.id, name: user.name },
};

/** First attack packet to rules in force; null while nothing is dropped, or when the node did not say when it began. */
const withFirstDrop = <T extends { firstPacketAt: Date | null; rulesAt: Date | null }>(row: T) => ({
  ...row,
  timeToFirstDropMs: row.firstPacketAt && row.rulesAt ? row.rulesAt.getTime() - row.firstPacketAt.getTime() : null,
});

export type IncidentSummary = Awaited<ReturnType<typeof summaries>>[number];
export type IncidentDetail = Awaited<ReturnType<typeof get>>;

/** Newest first. */
export async function summaries(tx: Tx, where: SQL | undefined, limit: number) {
  const rows = await tx
    .select(summaryColumns)
    .from(incident)
    .innerJoin(node, eq(node.id, incident.nodeId))
    .where(where)
    .orderBy(desc(incident.startedAt), desc(incident.id))
    .limit(limit);
  return rows.map(withFirstDrop);
}

export const ListInput = z.strictObject({
  status: z.enum(INCIDENT_STATUSES).optional(),
  nodeId: z.string().max(64).optional(),
  vector: z.optional(TrafficVerdict),
  since: z.coerce.date().optional(),
  /** `nextCursor` of the page before. */
  cursor: z.string().max(200).optional(),
  limit: z.number().int().min(1).max(200).default(50),
});

export const list = verb("viewer", ListInput, async (tx, _ctx, { cursor, limit, ...filter }) => {
  const where = and(
    filter.status && eq(incident.status, filter.status),
    filter.nodeId ? eq(incident.nodeId, filter.nodeId) : undefined,
    filter.vector && eq(incident.vector, filter.vector),
    filter.since && gte(incident.startedAt, filter.since),
    cursor ? after(cursor) : undefined,
  );
  const rows = await summaries(tx, where, limit + 1);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? cursorOf(last) : null };
});

const cursorOf = ({ startedAt, id }: { startedAt: Date; id: string }): string =>
  Buffer.from(`${startedAt.toISOString()} ${id}`).toString("base64url");

function after(cursor: string): SQL | undefined {
  const [moment = "", id = ""] = Buffer.from(cursor, "base64url").toString("utf8").split(" ");
  const startedAt = new Date(moment);
  if (Number.isNaN(startedAt.getTime()) || !AttackId.safeParse(id).success)
    throw new InvalidInput("cursor: not one of ours");
  return or(lt(incident.startedAt, startedAt), and(eq(incident.startedAt, startedAt), lt(incident.id, id)));
}

export const IncidentInput = z.strictObject({ incidentId: AttackId });

/** All of it: figures, timeline by time, rules with hits, deliveries. */
export const get = verb("viewer", IncidentInput, async (tx, _ctx, { incidentId }) => {
  const [found] = await tx
    .select(detailColumns)
    .from(incident)
    .innerJoin(node, eq(node.id, incident.nodeId))
    .leftJoin(user, eq(user.id, incident.acknowledgedBy))
    .where(eq(incident.id, incidentId));
  if (!found) throw new NotFound("incident");
  const timeline = await tx
    .select({
      id: incidentEvent.id,
      at: incidentEvent.at,
      actor: incidentEvent.actor,
      kind: incidentEvent.kind,
      text: incidentEvent.text,
      data: incidentEvent.data,
    })
    .from(incidentEvent)
    .where(eq(incidentEvent.incidentId, incidentId))
    .orderBy(asc(incidentEvent.at), asc(incidentEvent.id));
  const deliveries = await tx
    .select({
      id: alertDelivery.id,
      channelId: alertDelivery.channelId,
      channelName: channel.name,
      channelKind: channel.kind,
      transition: alertDelivery.transition,
      status: alertDelivery.status,
      attempts: alertDelivery.attempts,
      latencyMs: alertDelivery.latencyMs,
      response: alertDelivery.response,
      createdAt: alertDelivery.createdAt,
      deliveredAt: alertDelivery.deliveredAt,
    })
    .from(alertDelivery)
    .innerJoin(channel, eq(channel.id, alertDelivery.channelId))
    .where(eq(alertDelivery.incidentId, incidentId))
    .orderBy(asc(alertDelivery.createdAt));
  return { ...withFirstDrop(found), timeline, deliveries };
});

const MARGIN_MS = 60_000;

/** The node's traffic by the second, from a minute before the first packet to a minute after the end. */
export async function series(ctx: Context, input: z.input<typeof SeriesInput>): Promise<Series> {
  const { nodeId, startedAt, firstPacketAt, endedAt, maxPoints } = await window(ctx, input);
  const from = new Date((firstPacketAt ?? startedAt).getTime() - MARGIN_MS);
  const to = new Date(
    Math.min((endedAt ?? ctx.now).getTime() + MARGIN_MS, Math.max(ctx.now.getTime(), from.getTime())),
  );
  return metrics.series({ workspaceId: ctx.workspaceId, nodeIds: [nodeId], from, to, maxPoints });
}

export const SeriesInput = z.strictObject({
  incidentId: AttackId,
  maxPoints: z.number().int().min(10).max(5000).default(3600),
});

const window = verb("viewer", SeriesInput, async (tx, _ctx, { incidentId, maxPoints }) => {
  const { nodeId, startedAt, firstPacketAt, endedAt } = incident;
  const [found] = await tx
    .select({ nodeId, startedAt, firstPacketAt, endedAt })
    .from(incident)
    .where(eq(incident.id, incidentId));
  if (!found) throw new NotFound("incident");
  return { ...found, maxPoints };
});

/** Says that somebody is on it. Acknowledging again changes nothing. */
export const acknowledge = verb("operator", IncidentInput, async (tx, ctx, { incidentId }) => {
  const { actor } = ctx;
  if (actor.kind !== "user") throw new Forbidden("Only a person acknowledges.");
  const [found] = await tx.select().from(incident).where(eq(incident.id, incidentId)).for("update");
  if (!found) throw new NotFound("incident");
  if (found.acknowledgedAt) return { incidentId, acknowledgedAt: found.acknowledgedAt };
  const name = await nameOf(tx, actor.userId);
  await tx
    .update(incident)
    .set({ acknowledgedBy: actor.userId, acknowledgedAt: ctx.now })
    .where(eq(incident.id, incidentId));
  await addEntry(tx, ctx, incidentId, "incident.acknowledged", `Acknowledged by ${name}`);
  audit(tx, ctx, "incident.acknowledged", incidentId);
  await enqueue(
    tx,
    ctx,
    "alert.deliver",
    { incidentId, transition: "acknowledged" },
    { once: `${incidentId}:acknowledged` },
  );
  await notifyLive(tx, ctx.workspaceId, { type: "incident", incidentId, change: "acknowledged" });
  return { incidentId, acknowledgedAt: ctx.now };
});

export const NoteInput = z.strictObject({ incidentId: AttackId, text: z.string().trim().min(1).max(4000) });

export const note = verb("operator", NoteInput, async (tx, ctx, { incidentId, text }) => {
  if (ctx.actor.kind !== "user") throw new Forbidden("Only a person writes notes.");
  const [found] = await tx.select({ id: incident.id }).from(incident).where(eq(incident.id, incidentId));
  if (!found) throw new NotFound("incident");
  const author = await nameOf(tx, ctx.actor.userId);
  const id = await addEntry(tx, ctx, incidentId, "note", text, { author });
  audit(tx, ctx, "incident.noted", incidentId, { id });
  await notifyLive(tx, ctx.workspaceId, { type: "incident", incidentId, change: "noted" });
  return { id };
});

async function addEntry(
  tx: Tx,
  ctx: Context,
  incidentId: string,
  kind: string,
  text: string,
  data: Record<string, unknown> = {},
): Promise<string> {
  const id = newId("ent");
  const by = ctx.actor.kind === "user" ? { userId: ctx.actor.userId } : {};
  await tx.insert(incidentEvent).values({
    workspaceId: ctx.workspaceId,
    incidentId,
    id,
    at: ctx.now,
    actor: "user",
    kind,
    text,
    data: { ...by, ...data },
  });
  return id;
}

async function nameOf(tx: Tx, userId: string): Promise<string> {
  const [found] = await tx.select({ name: user.name }).from(user).where(eq(user.id, userId));
  return found?.name ?? "somebody";
}
