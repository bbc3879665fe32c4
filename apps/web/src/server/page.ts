import { hasRole } from "@flowtriq/services/context";
import { redirect } from "next/navigation";
import { currentSession, type Session } from "./session.ts";

/** What a page of a workspace needs to know of who looks at it. */
export async function viewer() {
  const session = await currentSession();
  if (!session) redirect("/sign-in");
  return { base: `/${session.slug}`, may: (role: Session["role"]) => hasRole(session.role, role) };
}
