import type { Tx } from "@flowtriq/db/client";
import { incident } from "@flowtriq/db/schema/incident";
import { node } from "@flowtriq/db/schema/node";
import { metrics } from "@flowtriq/metrics/store";
import { asc, eq, gte, sql } from "drizzle-orm";
import { z } from "zod";
import type { Context } from "./context.ts";
import { summaries } from "./incident.ts";
import { type NodeStatus, silent, statusOf } from "./node.ts";
import { verb } from "./verb.ts";

const DAY_MS = 86_400_000;
const LATEST = 8;
const MAX_NODES = 2_000;

export type Overview = Awaited<ReturnType<typeof get>>;

/** Is anything wrong, was anyone cut off, is it handled. */
export async function get(ctx: Context) {
  const facts = await fromDatabase(ctx, {});
  const { workspaceId, now } = ctx;
  const [seconds, droppedPackets24h] = await Promise.all([
    metrics.latest({ workspaceId, now }),
    metrics.droppedPackets({ workspaceId, since: new Date(now.getTime() - DAY_MS) }),
  ]);
  const traffic = { pps: 0, bps: 0, droppedPps: 0, passedPps: 0 };
  for (const second of seconds) {
    for (const key of ["pps", "bps", "droppedPps", "passedPps"] as const) traffic[key] += second[key];
  }
  const counted = seconds.map((second) => second.tunnels).filter((value) => value !== null);
  // Null, not zero, when no node could tell.
  const tunnels = counted.length > 0 ? counted.reduce((sum, value) => sum + value, 0) : null;
  const live = new Map(seconds.map((second) => [second.nodeId, second]));
  const pops = facts.pops.map(({ pop, nodes }) => ({
    pop,
    nodes: nodes.map((item) => ({
      ...item,
      pps: live.get(item.id)?.pps ?? null,
      droppedPps: live.get(item.id)?.droppedPps ?? null,
      tunnels: live.get(item.id)?.tunnels ?? item.tunnels,
    })),
  }));
  return { ...facts, pops, at: now, tunnels, traffic, droppedPackets24h };
}

const fromDatabase = verb("viewer", z.strictObject({}), async (tx, { now }) => {
  const open = await summaries(tx, eq(incident.status, "open"), 50);
  const latest = await summaries(tx, undefined, LATEST);
  const [lastEnded] = await summaries(tx, eq(incident.status, "ended"), 1);
  const nodes = await tx
    .select({
      id: node.id,
      name: node.name,
      pop: node.pop,
      region: node.region,
      tunnels: node.tunnels,
      lastSeenAt: node.lastSeenAt,
    })
    .from(node)
    .orderBy(asc(node.pop), asc(node.name))
    .limit(MAX_NODES);
  const attacked = new Set(open.map(({ nodeId }) => nodeId));
  const states = nodes.map((item) => ({
    ...item,
    status: statusOf(item.lastSeenAt, now),
    underAttack: attacked.has(item.id),
  }));
  const numberOf = (status: NodeStatus) => states.filter((item) => item.status === status).length;
  const pops = [...new Set(states.map(({ pop }) => pop))].map((pop) => ({
    pop,
    nodes: states.filter((item) => item.pop === pop),
  }));
  return {
    openIncidents: open,
    latestIncidents: latest,
    lastAttack: lastEnded ?? null,
    silentNodes: await silent(tx, now),
    nodes: { total: states.length, online: numberOf("online"), silent: numberOf("silent"), never: numberOf("never") },
    pops,
    ...(await thirtyDays(tx, now)),
  };
});

async function thirtyDays(tx: Tx, now: Date) {
  const toFirstDrop = sql`extract(epoch from ${incident.rulesAt} - ${incident.firstPacketAt}) * 1000`;
  const [row] = await tx
    .select({
      incidents: sql<number>`count(*)::integer`,
      dropped: sql<number>`count(${toFirstDrop})::integer`,
      medianMs: sql<number | null>`percentile_cont(0.5) within group (order by ${toFirstDrop})::double precision`,
      p95Ms: sql<number | null>`percentile_cont(0.95) within group (order by ${toFirstDrop})::double precision`,
      disconnected: sql<number>`coalesce(sum(${incident.usersDisconnected}), 0)::double precision`,
      unknown: sql<number>`count(*) filter (where ${incident.status} = 'ended' and ${incident.usersDisconnected} is null)::integer`,
    })
    .from(incident)
    .where(gte(incident.startedAt, new Date(now.getTime() - 30 * DAY_MS)));
  const { incidents = 0, dropped = 0, medianMs = null, p95Ms = null, disconnected = 0, unknown = 0 } = row ?? {};
  return {
    /** Null when nothing was dropped in these days. */
    timeToFirstDrop30d: medianMs === null || p95Ms === null ? null : { medianMs, p95Ms, incidents: dropped },
    /** `unknownIncidents`: over, and nobody could tell. */
    usersDisconnected30d: { users: disconnected, incidents, unknownIncidents: unknown },
  };
}
