import { textArray } from "@flowtriq/db/arrays";
import { type Tx, withSystem } from "@flowtriq/db/client";
import { node, nodeEvent } from "@flowtriq/db/schema/node";
import { workspace } from "@flowtriq/db/schema/workspace";
import { metrics, type NodeObservation } from "@flowtriq/metrics/store";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { Report, type ReportResponse } from "@flowtriq/protocol/wire";
import { eq, sql } from "drizzle-orm";
import type { NodeContext } from "../context.ts";
import { Unauthenticated } from "../errors.ts";
import { count, instant } from "../incident/bounds.ts";
import { isAttackEvent } from "../incident/fold.ts";
import { record } from "../incident/record.ts";
import { notifyLive } from "../notify.ts";
import { verb } from "../verb.ts";

/** A node's row is written when something in it changes, and else at most this often. */
const HEARTBEAT_SECONDS = 5;

export type NodeReport = { workspaceId: string; nodeId: string; report: Report };

/** One transaction: events, heartbeat, seconds. What it returns as acknowledged is committed. */
export const report = verb("node", Report, async (tx, ctx, report): Promise<ReportResponse> => {
  const { nodeId } = ctx.actor;
  // First, so that a node's own row is always locked before its incidents.
  const revisions = await heartbeats(tx, [{ workspaceId: ctx.workspaceId, nodeId, report }], ctx.now);
  const wantedRevision = revisions.get(nodeId);
  if (wantedRevision === undefined) throw new Unauthenticated("This node was removed.");
  await recordNodeEvents(tx, ctx, report.events);
  await record(tx, ctx, report.events.filter(isAttackEvent));
  await metrics.write(observationsOf([{ nodeId, report }]), tx);
  return { acknowledged: report.events.map((event) => event.id), wantedRevision };
});

/**
 * Many nodes' reports that carry no events, of any workspaces, in one transaction of a few statements. Each row goes to the
 * workspace of its node, whatever the caller says. Returns the wanted revision of each node that still exists.
 */
export async function reportObservations(reports: readonly NodeReport[], now: Date): Promise<Map<string, number>> {
  if (reports.some(({ report }) => report.events.length > 0))
    throw new Error("Reports with events have their own transaction.");
  return withSystem(async (tx) => {
    const revisions = await heartbeats(tx, reports, now);
    await metrics.write(observationsOf(reports), tx);
    return revisions;
  });
}

const observationsOf = (reports: readonly Pick<NodeReport, "nodeId" | "report">[]): NodeObservation[] =>
  reports.flatMap(({ nodeId, report }) => report.observations.map((observation) => ({ nodeId, observation })));

type Beat = { id: string; workspaceId: string; report: Report; first: boolean; policyChanged: boolean };

/** Notes that the nodes are alive and what they run. Returns the revision wanted of each; removed nodes are missing in it. */
async function heartbeats(tx: Tx, reports: readonly NodeReport[], now: Date): Promise<Map<string, number>> {
  const newest = new Map(reports.map((item) => [item.nodeId, item.report]));
  const known = await tx
    .select({
      id: node.id,
      workspaceId: node.workspaceId,
      version: node.version,
      appliedRevision: node.appliedRevision,
      policyError: node.policyError,
      lastSeenAt: node.lastSeenAt,
      wantedRevision: workspace.policyRevision,
    })
    .from(node)
    .innerJoin(workspace, eq(workspace.id, node.workspaceId))
    .where(sql`${node.id} = any(${textArray([...newest.keys()])}::text[])`);
  const due = now.getTime() - HEARTBEAT_SECONDS * 1000;
  const beats: Beat[] = [];
  for (const before of known) {
    const report = newest.get(before.id)!;
    const policyChanged =
      before.appliedRevision !== report.appliedRevision || before.policyError !== (report.policyError ?? null);
    const first = before.lastSeenAt === null;
    const fresh = before.lastSeenAt !== null && before.lastSeenAt.getTime() > due;
    if (fresh && !policyChanged && before.version === report.agentVersion) continue;
    beats.push({ id: before.id, workspaceId: before.workspaceId, report, first, policyChanged });
  }
  if (beats.length > 0) await writeBeats(tx, beats, now);
  return new Map(known.map(({ id, wantedRevision }) => [id, wantedRevision]));
}

async function writeBeats(tx: Tx, beats: readonly Beat[], now: Date): Promise<void> {
  const texts = (pick: (report: Report) => string | null | undefined) =>
    sql`${textArray(beats.map(({ report }) => pick(report) ?? null))}::text[]`;
  const integers = (pick: (report: Report) => number | null | undefined) =>
    sql`${`{${beats.map(({ report }) => count(pick(report)) ?? "null").join()}}`}::integer[]`;
  const at = sql`${now.toISOString()}::timestamptz`;
  await tx.execute(sql`
    update node set version = u.version, applied_revision = u.revision, policy_error = u.error, last_seen_at = ${at},
      first_seen_at = coalesce(node.first_seen_at, ${at}),
      tunnels = case when u.observed then u.tunnels else node.tunnels end
    from unnest(
      ${textArray(beats.map(({ id }) => id))}::text[], ${texts((report) => report.agentVersion)},
      ${integers((report) => report.appliedRevision)}, ${texts((report) => report.policyError)},
      ${`{${beats.map(({ report }) => report.observations.length > 0).join()}}`}::boolean[],
      ${integers((report) => report.observations.at(-1)?.tunnels)}
    ) as u(id, version, revision, error, observed, tunnels)
    where node.id = u.id`);
  for (const { id, workspaceId, first, policyChanged } of beats) {
    const change = first ? "first_report" : policyChanged ? "policy" : undefined;
    if (change) await notifyLive(tx, workspaceId, { type: "node", nodeId: id, change });
  }
}

async function recordNodeEvents(tx: Tx, ctx: NodeContext, events: readonly AgentEvent[]): Promise<void> {
  const own = events.filter((event) => !isAttackEvent(event));
  if (own.length === 0) return;
  const { workspaceId } = ctx;
  const { nodeId } = ctx.actor;
  const stored = await tx
    .insert(nodeEvent)
    .values(
      own.map((event) => ({
        workspaceId,
        nodeId,
        id: event.id,
        at: instant(event.at),
        event: event.event,
        data: { ...event },
      })),
    )
    .onConflictDoNothing()
    .returning({ id: nodeEvent.id });
  const fresh = new Set(stored.map(({ id }) => id));
  const ready = own.filter((event) => event.event === "agent.ready" && fresh.has(event.id)).at(-1);
  if (ready?.event !== "agent.ready") return;
  const { ports, mode, backend } = ready;
  await tx.update(node).set({ ports, mode, backend }).where(eq(node.id, nodeId));
  await notifyLive(tx, workspaceId, { type: "node", nodeId, change: "ready" });
}
