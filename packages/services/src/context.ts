import { ROLES, type Role } from "@flowtriq/db/schema/workspace";

export type Actor =
  | { kind: "user"; userId: string; role: Role }
  | { kind: "node"; nodeId: string }
  | { kind: "system" };

/** Who acts, where and when. The door that made it has authenticated the actor. */
export type Context = { workspaceId: string; actor: Actor; now: Date };

export type NodeContext = Context & { actor: Extract<Actor, { kind: "node" }> };

export const systemContext = (workspaceId: string, now = new Date()): Context => ({
  workspaceId,
  actor: { kind: "system" },
  now,
});

export const hasRole = (have: Role, wanted: Role): boolean => ROLES.indexOf(have) >= ROLES.indexOf(wanted);

/** As the audit log and the timeline spell it. */
export const actorName = (actor: Actor): string =>
  actor.kind === "user" ? `user:${actor.userId}` : actor.kind === "node" ? `node:${actor.nodeId}` : "system";
