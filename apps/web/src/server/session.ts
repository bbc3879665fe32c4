import type { Context } from "@flowtriq/services/context";
import { type Membership, membership } from "@flowtriq/services/lookup";
import { headers } from "next/headers";
import { cache } from "react";
import { auth } from "./auth.ts";

export type Session = Membership & { userId: string; name: string; email: string };

/**
 * Who asks, in the workspace that the session is bound to. Undefined when nobody is signed in, when the session was made
 * for another host, or when the person is no longer a member: asked anew on every request.
 */
export const currentSession = cache(async (): Promise<Session | undefined> => {
  const token = await auth();
  if (!token) return undefined;
  const { userId, workspaceId, slug, host, name, email } = token.bound;
  if (host !== (await headers()).get("x-brand-host")) return undefined;
  const member = await membership(userId, slug);
  if (!member || member.workspaceId !== workspaceId) return undefined;
  return { ...member, userId, name, email };
});

/** The session as services know it. */
export const contextOf = ({ workspaceId, userId, role }: Session): Context => ({
  workspaceId,
  actor: { kind: "user", userId, role },
  now: new Date(),
});
