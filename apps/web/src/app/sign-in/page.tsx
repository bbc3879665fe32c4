import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { SignIn } from "../../features/sign-in/SignIn.tsx";
import { currentBrand } from "../../server/brand.ts";
import { NextPath } from "../../server/next-path.ts";
import { currentSession } from "../../server/session.ts";

export const metadata: Metadata = { title: "Sign in" };

export default async function SignInPage({ searchParams }: { searchParams: Promise<{ next?: string | string[] }> }) {
  const next = NextPath.parse((await searchParams).next);
  if (await currentSession()) redirect(next);
  return <SignIn brand={await currentBrand()} next={next} />;
}
