import { randomBytes } from "node:crypto";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { withSystem } from "./client.ts";
import { incident, member, node, policy, type Role, user, workspace } from "./schema.ts";

/** Rows for tests: each call makes a new one with plain values; whatever matters to the test is passed. */
const word = () => randomBytes(8).toString("hex");

export async function aWorkspace(values: Partial<typeof workspace.$inferInsert> = {}) {
  const id = values.id ?? `wsp_${word()}`;
  return withSystem(async (tx) => {
    const [row] = await tx
      .insert(workspace)
      .values({ name: "Acme", slug: id.replace("_", "-"), policyRevision: 1, ...values, id })
      .returning();

    await tx.insert(policy).values({ workspaceId: id, revision: row!.policyRevision, policy: DEFAULT_POLICY });
    return row!;
  });
}

export async function aMember(
  workspaceId: string,
  role: Role = "owner",
  values: Partial<typeof user.$inferInsert> = {},
) {
  const id = values.id ?? `usr_${word()}`;
  return withSystem(async (tx) => {
    const [row] = await tx
      .insert(user)
      .values({ email: `${word()}@example.test`, name: "Ada", ...values, id })
      .returning();
    await tx.insert(member).values({ workspaceId, userId: id, role });
    return row!;
  });
}

export async function aNode(workspaceId: string, values: Partial<typeof node.$inferInsert> = {}) {
  return withSystem(async (tx) => {
    const [row] = await tx
      .insert(node)
      .values({
        id: `nod_${word()}`,
        name: "fra-01",
        hostname: "fra-01.example.test",
        machineId: word(),
        keyHash: word(),
        version: "0.1.0",
        kernel: "6.1",
        ...values,
        workspaceId,
      })
      .returning();
    return row!;
  });
}

export async function anIncident(
  workspaceId: string,
  nodeId: string,
  values: Partial<typeof incident.$inferInsert> = {},
) {
  return withSystem(async (tx) => {
    const [row] = await tx
      .insert(incident)
      .values({
        id: `atk_${word()}`,
        status: "open",
        vector: "udp_flood",
        confidence: 0.9,
        severity: "medium",
        lane: "udp:51820:malformed",
        startedAt: new Date(),
        ...values,
        workspaceId,
        nodeId,
      })
      .returning();
    return row!;
  });
}
