import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { SignIn } from "../../features/sign-in/SignIn.tsx";
import { currentBrand } from "../../server/brand.ts";
import { currentSession } from "../../server/session.ts";

export const metadata: Metadata = { title: "Sign in" };

export default async function SignInPage({ searchParams }: { searchParams: Promise<{ next?: string | string[] }> }) {
  if (await currentSession()) redirect("/");
  const { next } = await searchParams;
  return <SignIn brand={await currentBrand()} next={typeof next === "string" ? next : undefined} />;
}
