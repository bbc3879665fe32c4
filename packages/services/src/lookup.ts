import { withSystem } from "@flowtriq/db/client";
import { domain } from "@flowtriq/db/schema/brand";
import { enrolmentToken, node } from "@flowtriq/db/schema/node";
import { member, type Role, workspace } from "@flowtriq/db/schema/workspace";
import { and, eq } from "drizzle-orm";
import { hashSecret } from "./ids.ts";

// What must be known before the tenant is. Everything here answers with ids, and with nothing of the tenant's.

/** Whose key this is. */
export async function nodeByKey(key: string): Promise<{ workspaceId: string; nodeId: string } | undefined> {
  const [found] = await withSystem((tx) =>
    tx
      .select({ workspaceId: node.workspaceId, nodeId: node.id })
      .from(node)
      .where(eq(node.keyHash, hashSecret(key))),
  );
  return found;
}

/** Whose enrolment token this is, spent or not. */
export async function workspaceByToken(token: string): Promise<string | undefined> {
  const [found] = await withSystem((tx) =>
    tx
      .select({ workspaceId: enrolmentToken.workspaceId })
      .from(enrolmentToken)
      .where(eq(enrolmentToken.hash, hashSecret(token))),
  );
  return found?.workspaceId;
}

export type Membership = { workspaceId: string; slug: string; workspaceName: string; role: Role };

/** The workspaces that a person may enter, by name. */
export async function membershipsOf(userId: string): Promise<Membership[]> {
  return withSystem((tx) =>
    tx
      .select({ workspaceId: workspace.id, slug: workspace.slug, workspaceName: workspace.name, role: member.role })
      .from(member)
      .innerJoin(workspace, eq(workspace.id, member.workspaceId))
      .where(eq(member.userId, userId))
      .orderBy(workspace.name),
  );
}

/** What a person is in the workspace of this address, if anything; asked on every request, so that a removal counts at once. */
export async function membership(userId: string, slug: string): Promise<Membership | undefined> {
  const [found] = await withSystem((tx) =>
    tx
      .select({ workspaceId: workspace.id, slug: workspace.slug, workspaceName: workspace.name, role: member.role })
      .from(member)
      .innerJoin(workspace, eq(workspace.id, member.workspaceId))
      .where(and(eq(member.userId, userId), eq(workspace.slug, slug))),
  );
  return found;
}

/** The brand of a verified host. */
export async function brandIdByHost(host: string): Promise<string | undefined> {
  const [found] = await withSystem((tx) =>
    tx
      .select({ brandId: domain.brandId })
      .from(domain)
      .where(and(eq(domain.host, host.toLowerCase()), eq(domain.status, "verified"))),
  );
  return found?.brandId;
}
