import type { Tx } from "@flowtriq/db/client";
import { node } from "@flowtriq/db/schema/node";
import { policy } from "@flowtriq/db/schema/policy";
import { user, workspace } from "@flowtriq/db/schema/workspace";
import { LaneId } from "@flowtriq/protocol/lane";
import { DEFAULT_POLICY, type NodePolicy, Policy } from "@flowtriq/protocol/policy";
import { desc, eq, sql } from "drizzle-orm";
import { z } from "zod";
import { audit } from "./audit.ts";
import type { Context } from "./context.ts";
import { Conflict, InvalidInput } from "./errors.ts";
import { notifyPolicy } from "./notify.ts";
import { verb } from "./verb.ts";

const Nothing = z.strictObject({});

/** The policy in force, who wrote it, and how far it has come: "applied on 11 of 12 nodes". */
export const get = verb("viewer", Nothing, async (tx) => {
  const { revision, policy, createdAt, createdBy } = await current(tx);
  const [counts] = await tx
    .select({
      nodes: sql<number>`count(*)::integer`,
      applied: sql<number>`count(*) filter (where ${node.appliedRevision} = ${revision})::integer`,
      refused: sql<number>`count(*) filter (where ${node.policyError} is not null)::integer`,
    })
    .from(node);
  return {
    revision,
    policy,
    createdAt,
    createdBy,
    nodes: counts?.nodes ?? 0,
    applied: counts?.applied ?? 0,
    refused: counts?.refused ?? 0,
  };
});

export const UpdateInput = z.strictObject({
  policy: Policy,
  /** The revision that the editor began with; another one meanwhile is a Conflict. */
  basedOn: z.number().int().min(0).optional(),
});

/** A policy that does not compile is not saved. Open policy streams hear of the new revision when it is committed. */
export const update = verb("admin", UpdateInput, async (tx, ctx, input) => {
  compilePolicy(input.policy);
  const before = await current(tx);
  if (input.basedOn !== undefined && input.basedOn !== before.revision) {
    throw new Conflict(`The policy was changed meanwhile: it is at revision ${before.revision} now.`);
  }
  const [bumped] = await tx
    .update(workspace)
    .set({ policyRevision: sql`${workspace.policyRevision} + 1` })
    .where(eq(workspace.id, ctx.workspaceId))
    .returning({ revision: workspace.policyRevision });
  const revision = bumped!.revision;
  const createdBy = ctx.actor.kind === "user" ? ctx.actor.userId : null;
  await tx
    .insert(policy)
    .values({ workspaceId: ctx.workspaceId, revision, policy: input.policy, createdBy, createdAt: ctx.now });
  audit(tx, ctx, "policy.updated", `revision ${revision}`, { before: before.policy, after: input.policy });
  await notifyPolicy(tx, ctx.workspaceId);
  return { revision, policy: input.policy };
});

/** Newest first. */
export const history = verb(
  "viewer",
  z.strictObject({ limit: z.number().int().min(1).max(200).default(50) }),
  (tx, _ctx, { limit }) =>
    tx
      .select({ revision: policy.revision, policy: policy.policy, createdAt: policy.createdAt, createdBy: user.name })
      .from(policy)
      .leftJoin(user, eq(user.id, policy.createdBy))
      .orderBy(desc(policy.revision))
      .limit(limit),
);

/** As the node receives it. */
export const forNode = verb("node", Nothing, (tx) => nodePolicy(tx));

export async function nodePolicy(tx: Tx): Promise<NodePolicy> {
  const { revision, policy } = await current(tx);
  // Parsed again: what a later version added to policies has its default in those that were saved before it.
  return { revision, policy: Policy.parse(policy), ports: [] };
}

async function current(tx: Tx) {
  const [found] = await tx
    .select({ revision: policy.revision, policy: policy.policy, createdAt: policy.createdAt, createdBy: user.name })
    .from(policy)
    .leftJoin(user, eq(user.id, policy.createdBy))
    .orderBy(desc(policy.revision))
    .limit(1);
  return found ?? { revision: 0, policy: DEFAULT_POLICY, createdAt: null, createdBy: null };
}

/** Revision 1 of a new workspace, in its own transaction. */
export async function createFirst(tx: Tx, { workspaceId, now }: Pick<Context, "workspaceId" | "now">): Promise<void> {
  await tx.insert(policy).values({ workspaceId, revision: 1, policy: DEFAULT_POLICY, createdAt: now });
}

/** Throws InvalidInput for a policy from which no rules can be made. */
function compilePolicy(wanted: Policy): void {
  const byLane = ["thresholdsPps", "floorsPps", "ceilingsPps"] as const;
  const strangers = byLane.flatMap((field) =>
    Object.keys(wanted[field] ?? {})
      .filter((lane) => !LaneId.safeParse(lane).success)
      .map((lane) => ({ field, lane })),
  );
  if (strangers[0]) {
    throw new InvalidInput(
      `policy.${strangers[0].field}: ${strangers[0].lane} is no lane`,
      strangers.map(({ field, lane }) => ({ path: `policy.${field}.${lane}`, message: "is no lane" })),
    );
  }
}
