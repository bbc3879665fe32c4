import type { Tx } from "@flowtriq/db/client";
import { incident } from "@flowtriq/db/schema/incident";
import { enrolmentToken, node, nodeEvent } from "@flowtriq/db/schema/node";
import { and, asc, count, desc, eq, gt, or, sql } from "drizzle-orm";
import { z } from "zod";
import { audit } from "./audit.ts";
import { NotFound } from "./errors.ts";
import { hashSecret, newId, newSecret } from "./ids.ts";
import { summaries } from "./incident.ts";
import { notifyLive } from "./notify.ts";
import { verb } from "./verb.ts";

export { enroll } from "./node/enroll.ts";
export { type NodeReport, report, reportObservations } from "./node/report.ts";

/** A node that said nothing for so long is called silent. */
export const SILENT_AFTER_SECONDS = 30;

export type NodeStatus = "online" | "silent" | "never";

export const statusOf = (lastSeenAt: Date | null, now: Date): NodeStatus =>
  lastSeenAt === null
    ? "never"
    : now.getTime() - lastSeenAt.getTime() > SILENT_AFTER_SECONDS * 1000
      ? "silent"
      : "online";

const Group = z.string().trim().min(1).max(64);
const Tags = z.array(z.string().trim().min(1).max(64)).max(32);

export const CreateEnrolmentTokenInput = z.strictObject({
  label: z.string().trim().min(1).max(100).default("New nodes"),
  pop: Group.optional(),
  region: Group.optional(),
  tags: Tags.default([]),
  /** Absent: as many nodes as wanted until it expires. */
  uses: z.number().int().min(1).max(10_000).optional(),
  expiresInSeconds: z
    .number()
    .int()
    .min(60)
    .max(30 * 86_400)
    .default(86_400),
});

/** The token is shown once; its hash is kept. Nodes that enrol with it start in its group. */
export const createEnrolmentToken = verb(
  "admin",
  CreateEnrolmentTokenInput,
  async (tx, ctx, { uses, expiresInSeconds, ...group }) => {
    const token = newSecret("ent");
    const id = newId("tok");
    const expiresAt = new Date(ctx.now.getTime() + expiresInSeconds * 1000);
    const createdBy = ctx.actor.kind === "user" ? ctx.actor.userId : null;
    await tx.insert(enrolmentToken).values({
      id,
      workspaceId: ctx.workspaceId,
      hash: hashSecret(token),
      usesLeft: uses ?? null,
      expiresAt,
      createdBy,
      createdAt: ctx.now,
      ...group,
    });
    audit(tx, ctx, "enrolment_token.created", id, { label: group.label, uses: uses ?? null });
    return { id, token, expiresAt };
  },
);

const columns = {
  id: node.id,
  name: node.name,
  hostname: node.hostname,
  pop: node.pop,
  region: node.region,
  tags: node.tags,
  version: node.version,
  kernel: node.kernel,
  ports: node.ports,
  mode: node.mode,
  backend: node.backend,
  appliedRevision: node.appliedRevision,
  policyError: node.policyError,
  tunnels: node.tunnels,
  createdAt: node.createdAt,
  lastSeenAt: node.lastSeenAt,
};

export const ListInput = z.strictObject({
  pop: z.string().max(64).optional(),
  /** Part of the name or host name. */
  search: z.string().trim().max(100).optional(),
  cursor: z.string().max(200).optional(),
  limit: z.number().int().min(1).max(1000).default(200),
});

export type NodeSummary = Awaited<ReturnType<typeof list>>["items"][number];

/** By name. The cursor is the last node's id. */
export const list = verb("viewer", ListInput, async (tx, ctx, { pop, search, cursor, limit }) => {
  const [last] = cursor ? await tx.select({ name: node.name, id: node.id }).from(node).where(eq(node.id, cursor)) : [];
  const pattern = search ? `%${search.replace(/[\\%_]/g, "\\$&")}%` : undefined;
  const rows = await tx
    .select({ ...columns, openIncidents: openIncidents })
    .from(node)
    .where(
      and(
        pop ? eq(node.pop, pop) : undefined,
        pattern ? or(sql`${node.name} ilike ${pattern}`, sql`${node.hostname} ilike ${pattern}`) : undefined,
        last ? or(gt(node.name, last.name), and(eq(node.name, last.name), gt(node.id, last.id))) : undefined,
      ),
    )
    .orderBy(asc(node.name), asc(node.id))
    .limit(limit + 1);
  const items = rows.slice(0, limit).map((row) => ({ ...row, status: statusOf(row.lastSeenAt, ctx.now) }));
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null };
});

// Spelled out: in a select from one table columns lose their table's name, and `id` would be the incident's own.
const openIncidents = sql<number>`(select count(*)::integer from incident
  where incident.workspace_id = node.workspace_id and incident.node_id = node.id and incident.status = 'open')`;

export const NodeInput = z.strictObject({ nodeId: z.string().max(64) });
export type NodeDetail = Awaited<ReturnType<typeof get>>;

export const get = verb("viewer", NodeInput, async (tx, ctx, { nodeId }) => {
  const found = await find(tx, nodeId);
  const incidents = await summaries(tx, eq(incident.nodeId, nodeId), 20);
  const [open] = await tx
    .select({ count: count() })
    .from(incident)
    .where(and(eq(incident.nodeId, nodeId), eq(incident.status, "open")));
  const events = await tx
    .select({ id: nodeEvent.id, at: nodeEvent.at, event: nodeEvent.event, data: nodeEvent.data })
    .from(nodeEvent)
    .where(eq(nodeEvent.nodeId, nodeId))
    .orderBy(desc(nodeEvent.at))
    .limit(50);
  return {
    ...found,
    status: statusOf(found.lastSeenAt, ctx.now),
    openIncidents: open?.count ?? 0,
    incidents,
    events,
  };
});

export const UpdateInput = z.strictObject({
  nodeId: z.string().max(64),
  name: z.string().trim().min(1).max(100).optional(),
  pop: Group.nullable().optional(),
  region: Group.nullable().optional(),
  tags: Tags.optional(),
});

export const update = verb("operator", UpdateInput, async (tx, ctx, { nodeId, ...change }) => {
  const before = await find(tx, nodeId);
  if (Object.values(change).some((value) => value !== undefined)) {
    await tx.update(node).set(change).where(eq(node.id, nodeId));
    const { name, pop, region, tags } = before;
    audit(tx, ctx, "node.updated", nodeId, { before: { name, pop, region, tags }, after: change });
    await notifyLive(tx, ctx.workspaceId, { type: "node", nodeId, change: "updated" });
  }
  return { ...before, ...change };
});

async function find(tx: Tx, nodeId: string) {
  const [found] = await tx.select(columns).from(node).where(eq(node.id, nodeId));
  if (!found) throw new NotFound("node");
  return found;
}

/** Nodes that reported once and are silent now. */
export const silent = (tx: Tx, now: Date) =>
  tx
    .select({ id: node.id, name: node.name, pop: node.pop, lastSeenAt: node.lastSeenAt })
    .from(node)
    .where(
      sql`${node.lastSeenAt} < ${new Date(now.getTime() - SILENT_AFTER_SECONDS * 1000).toISOString()}::timestamptz`,
    )
    .orderBy(asc(node.name));
