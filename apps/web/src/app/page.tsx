import { redirect } from "next/navigation";
import { currentSession } from "../server/session.ts";

export default async function Root() {
  const session = await currentSession();
  redirect(session ? `/${session.slug}` : "/sign-in");
}
