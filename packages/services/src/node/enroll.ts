import { enrolmentToken, node } from "@flowtriq/db/schema/node";
import type { EnrollRequest, EnrollResponse } from "@flowtriq/protocol/wire";
import { and, eq, gt, isNull, or, sql } from "drizzle-orm";
import { audit } from "../audit.ts";
import type { NodeContext } from "../context.ts";
import { Unauthenticated } from "../errors.ts";
import { hashSecret, newId, newSecret } from "../ids.ts";
import { workspaceByToken } from "../lookup.ts";
import { notifyLive } from "../notify.ts";
import { nodePolicy } from "../policy.ts";
import { inTenant } from "../verb.ts";

const REFUSED = "The enrolment token is unknown, expired or used up.";

/**
 * Turns a token into a node and its key. The same machine gets the same node again with a new key (the old one ends), and
 * spends no further use of the token. Throws Unauthenticated, the same for every bad token.
 */
export async function enroll(now: Date, request: EnrollRequest): Promise<EnrollResponse> {
  const workspaceId = await workspaceByToken(request.token);
  if (!workspaceId) throw new Unauthenticated(REFUSED);
  const ctx: NodeContext = { workspaceId, actor: { kind: "node", nodeId: newId("nod") }, now };
  return inTenant(ctx, async (tx) => {
    const [token] = await tx
      .select()
      .from(enrolmentToken)
      .where(and(eq(enrolmentToken.hash, hashSecret(request.token)), gt(enrolmentToken.expiresAt, now)))
      .for("update");
    if (!token) throw new Unauthenticated(REFUSED);
    const nodeKey = newSecret("key");
    const told = {
      hostname: request.hostname,
      version: request.agentVersion,
      kernel: request.kernel,
      ports: request.ports,
      keyHash: hashSecret(nodeKey),
    };
    const [again] = await tx
      .update(node)
      .set(told)
      .where(eq(node.machineId, request.machineId))
      .returning({ id: node.id });
    if (!again) {
      const [spent] = await tx
        .update(enrolmentToken)
        .set({ uses: sql`${enrolmentToken.uses} + 1`, usesLeft: sql`${enrolmentToken.usesLeft} - 1` })
        .where(
          and(eq(enrolmentToken.id, token.id), or(isNull(enrolmentToken.usesLeft), gt(enrolmentToken.usesLeft, 0))),
        )
        .returning({ id: enrolmentToken.id });
      if (!spent) throw new Unauthenticated(REFUSED);
      const { pop, region, tags } = token;
      const { machineId } = request;
      await tx.insert(node).values({
        id: ctx.actor.nodeId,
        workspaceId,
        name: request.hostname,
        machineId,
        pop,
        region,
        tags,
        createdAt: now,
        ...told,
      });
    }
    const nodeId = again?.id ?? ctx.actor.nodeId;
    audit(tx, ctx, again ? "node.enrolled_again" : "node.enrolled", nodeId, {
      hostname: request.hostname,
      token: token.id,
    });
    await notifyLive(tx, workspaceId, { type: "node", nodeId, change: "enrolled" });
    return { nodeId, nodeKey, policy: await nodePolicy(tx) };
  });
}
