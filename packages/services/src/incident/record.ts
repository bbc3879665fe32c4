import type { Tx } from "@flowtriq/db/client";
import { incident, incidentEvent } from "@flowtriq/db/schema/incident";
import { and, eq } from "drizzle-orm";
import { audit } from "../audit.ts";
import type { NodeContext } from "../context.ts";
import { notifyLive } from "../notify.ts";
import { enqueue } from "../outbox.ts";
import { type AttackEvent, type Figures, fold, isAttackEvent } from "./fold.ts";
import { timelineOf } from "./timeline.ts";

/** No attack has so many; a node gone wrong must not fill the disk. The end is always taken. */
const MAX_EVENTS = 500;

/**
 * Stores what a node says of its attacks. The incident's row is derived anew from all its events each time, so repetitions
 * change nothing and any order ends in the same row. Events of another node's attack are not taken.
 */
export async function record(tx: Tx, ctx: NodeContext, events: readonly AttackEvent[]): Promise<void> {
  // Always in the same order, so that two transactions never wait for each other.
  for (const attack of [...new Set(events.map((event) => event.attack))].sort()) {
    const ofAttack = events.filter((event) => event.attack === attack);
    await recordAttack(tx, ctx, attack, ofAttack);
  }
}

async function recordAttack(
  tx: Tx,
  ctx: NodeContext,
  incidentId: string,
  reported: readonly AttackEvent[],
): Promise<void> {
  const { workspaceId } = ctx;
  const { nodeId } = ctx.actor;
  const unique = [...new Map(reported.toReversed().map((event) => [event.id, event])).values()].reverse();
  const figures = fold(unique);
  const [created] = await tx
    .insert(incident)
    .values({ workspaceId, id: incidentId, nodeId, ...figures })
    .onConflictDoNothing()
    .returning({ id: incident.id });
  if (created) {
    await addToTimeline(tx, ctx, incidentId, unique, true);
    return tell(tx, ctx, incidentId, undefined, figures);
  }

  const [before] = await tx.select().from(incident).where(eq(incident.id, incidentId)).for("update");
  if (!before || before.nodeId !== nodeId) return;
  const known = await eventsOf(tx, incidentId);
  const room = known.size < MAX_EVENTS;
  const fresh = unique.filter((event) => !known.has(event.id) && (room || event.event === "attack.ended"));
  if (fresh.length === 0) return;
  await addToTimeline(tx, ctx, incidentId, fresh, false);
  const after = fold([...known.values(), ...fresh]);
  await tx
    .update(incident)
    .set(after)
    .where(and(eq(incident.workspaceId, workspaceId), eq(incident.id, incidentId)));
  return tell(tx, ctx, incidentId, before, after);
}

async function eventsOf(tx: Tx, incidentId: string): Promise<Map<string, AttackEvent>> {
  const rows = await tx
    .select({ data: incidentEvent.data })
    .from(incidentEvent)
    .where(eq(incidentEvent.incidentId, incidentId));
  const events = rows
    .map(({ data }) => data as unknown as AttackEvent)
    .filter((data) => data.event && isAttackEvent(data));
  return new Map(events.map((event) => [event.id, event]));
}

async function addToTimeline(
  tx: Tx,
  { workspaceId, now }: NodeContext,
  incidentId: string,
  events: readonly AttackEvent[],
  first: boolean,
): Promise<void> {
  const entries = events.flatMap(timelineOf);
  if (first) {
    const text = "Incident stored";
    entries.push({ id: "stored", at: now, actor: "service", kind: "incident.stored", text, data: {} });
  }
  await tx
    .insert(incidentEvent)
    .values(entries.map((entry) => ({ workspaceId, incidentId, ...entry })))
    .onConflictDoNothing();
}

/** What follows a change: jobs, audit, dashboards. Each transition is told once, in whatever order it is heard of. */
async function tell(
  tx: Tx,
  ctx: NodeContext,
  incidentId: string,
  before: Pick<Figures, "status" | "classifiedAt" | "rulesAt"> | undefined,
  after: Figures,
): Promise<void> {
  const transitions = [
    !before && ("opened" as const),
    !before?.classifiedAt && after.classifiedAt && ("classified" as const),
    before?.status !== "ended" && after.status === "ended" && ("ended" as const),
  ].filter((transition) => typeof transition === "string");
  for (const transition of transitions) {
    await enqueue(tx, ctx, "alert.deliver", { incidentId, transition }, { once: `${incidentId}:${transition}` });
    audit(tx, ctx, `incident.${transition}`, incidentId, { vector: after.vector, severity: after.severity });
  }
  const mitigated = !before?.rulesAt && after.rulesAt ? "mitigated" : "changed";
  await notifyLive(tx, ctx.workspaceId, { type: "incident", incidentId, change: transitions.at(-1) ?? mitigated });
}
