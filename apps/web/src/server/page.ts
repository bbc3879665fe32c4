import { hasRole } from "@flowtriq/services/context";
import type { Role } from "@flowtriq/db/schema/workspace";
import { redirect } from "next/navigation";
import { currentSession } from "./session.ts";

/** What a page of a workspace needs to know of who looks at it. */
export async function viewer() {
  const session = await currentSession();
  if (!session) redirect("/sign-in");
  return { base: `/${session.slug}`, may: (role: Role) => hasRole(session.role, role) };
}
