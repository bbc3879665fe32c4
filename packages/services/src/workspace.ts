import { withSystem } from "@flowtriq/db/client";
import { member, user, workspace } from "@flowtriq/db/schema/workspace";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { audit, flushAudit } from "./audit.ts";
import type { Context } from "./context.ts";
import { Conflict, Forbidden, NotFound } from "./errors.ts";
import { newId } from "./ids.ts";
import { hashPassword, Password } from "./password.ts";
import { createFirst } from "./policy.ts";
import { parse, verb } from "./verb.ts";

export const CreateInput = z.strictObject({
  workspaceName: z.string().trim().min(1).max(100),
  ownerName: z.string().trim().min(1).max(100),
  email: z.email().max(254).toLowerCase(),
  password: Password,
});

/** A workspace with its owner and its first policy. Throws Conflict when the address already has an account. */
export async function create(ctx: Pick<Context, "actor" | "now">, input: z.input<typeof CreateInput>) {
  if (ctx.actor.kind !== "system") throw new Forbidden("Only the system creates workspaces.");
  const { workspaceName, ownerName, email, password } = parse(CreateInput, input);
  const passwordHash = await hashPassword(password);
  const [workspaceId, userId] = [newId("wsp"), newId("usr")];
  return withSystem(async (tx) => {
    const slug = await freeSlug(workspaceName, async (wanted) => {
      const taken = await tx.select({ id: workspace.id }).from(workspace).where(eq(workspace.slug, wanted));
      return taken.length === 0;
    });
    const [owner] = await tx
      .insert(user)
      .values({ id: userId, email, name: ownerName, passwordHash, createdAt: ctx.now })
      .onConflictDoNothing({ target: user.email })
      .returning({ id: user.id });
    if (!owner) throw new Conflict("This address has an account already.");
    await tx
      .insert(workspace)
      .values({ id: workspaceId, name: workspaceName, slug, policyRevision: 1, createdAt: ctx.now });
    await tx.insert(member).values({ workspaceId, userId, role: "owner", createdAt: ctx.now });
    const inside: Context = { workspaceId, ...ctx };
    await createFirst(tx, inside);
    audit(tx, inside, "workspace.created", workspaceId, { name: workspaceName, owner: userId });
    await flushAudit(tx);
    return { workspaceId, slug, userId };
  });
}

export const get = verb("viewer", z.strictObject({}), async (tx) => {
  const { id, name, slug, brandId, policyRevision, createdAt } = workspace;
  const [found] = await tx.select({ id, name, slug, brandId, policyRevision, createdAt }).from(workspace);
  if (!found) throw new NotFound("workspace");
  return found;
});

/** Words that stand at the same place in addresses. */
const RESERVED = new Set([
  "api",
  "login",
  "logout",
  "sign-in",
  "signup",
  "pricing",
  "docs",
  "static",
  "live",
  "admin",
  "new",
]);

async function freeSlug(name: string, isFree: (slug: string) => Promise<boolean>): Promise<string> {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replace(/^-+|-+$/g, "");
  const wanted = plain.length < 2 || RESERVED.has(plain) ? `w-${plain || "space"}` : plain;
  if (await isFree(wanted)) return wanted;
  return `${wanted}-${newId("").slice(1, 7).toLowerCase()}`;
}
