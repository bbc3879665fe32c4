import { type Tx, withWorkspace } from "@flowtriq/db/client";
import type { Role } from "@flowtriq/db/schema/workspace";
import { z } from "zod";
import { flushAudit } from "./audit.ts";
import { type Context, hasRole, type NodeContext } from "./context.ts";
import { Forbidden, InvalidInput } from "./errors.ts";

/** Who may: a person of at least this role, or the node itself. The system may everything. */
export type Allowed = Role | "node";
type ContextOf<A extends Allowed> = A extends "node" ? NodeContext : Context;

/**
 * A verb of the product: it allows, parses, and runs in one transaction in which only the caller's workspace exists.
 * Throws Forbidden, InvalidInput, and what the verb itself refuses.
 */
export function verb<A extends Allowed, S extends z.core.$ZodType, R>(
  allowed: A,
  schema: S,
  run: (tx: Tx, ctx: ContextOf<A>, input: z.output<S>) => Promise<R>,
): (ctx: Context, input: z.input<S>) => Promise<R> {
  return async (ctx, input) => {
    authorize(allowed, ctx);
    const parsed = parse(schema, input);
    return inTenant(ctx, (tx) => run(tx, ctx as ContextOf<A>, parsed));
  };
}

/** The tenant's transaction, with what it audits written last. */
export function inTenant<R>(ctx: Context, work: (tx: Tx) => Promise<R>): Promise<R> {
  return withWorkspace(ctx.workspaceId, async (tx) => {
    const result = await work(tx);
    await flushAudit(tx);
    return result;
  });
}

export function authorize(allowed: Allowed, { actor }: Context): void {
  if (actor.kind === "system") {
    if (allowed === "node") throw new Forbidden("Only a node may do this.");
    return;
  }
  if (actor.kind === "node") {
    if (allowed !== "node") throw new Forbidden("A node may not do this.");
    return;
  }
  if (allowed === "node") throw new Forbidden("Only a node may do this.");
  if (!hasRole(actor.role, allowed)) throw new Forbidden(`This takes the role ${allowed}; yours is ${actor.role}.`);
}

/** Throws InvalidInput with the path of each mistake. */
export function parse<S extends z.core.$ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = z.safeParse(schema, input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.join("."), message }));
  const [first] = issues;
  throw new InvalidInput(first ? `${first.path || "input"}: ${first.message}` : "Not valid.", issues);
}
