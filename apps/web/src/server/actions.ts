"use server";
import { redirect } from "next/navigation";
import { CredentialsSignin } from "next-auth";
import { z } from "zod";
import { Refused, signIn, signOut } from "./auth.ts";
import { NextPath } from "./next-path.ts";

const Form = z.object({
  email: z.string().max(254),
  password: z.string().max(1024),
  next: NextPath,
});

export type SignInState = { error?: string; email?: string };

export async function signInHere(_: SignInState, data: FormData): Promise<SignInState> {
  const form = Form.safeParse(Object.fromEntries(data));
  if (!form.success) return { error: "Email and password are needed." };
  const { email, password, next } = form.data;
  try {
    await signIn("credentials", { email, password, redirect: false });
  } catch (error) {
    if (error instanceof Refused) return { error: error.code, email };
    if (error instanceof CredentialsSignin) return { error: "That email and password do not belong together.", email };
    throw error;
  }
  redirect(next);
}

export async function signOutHere(): Promise<void> {
  await signOut({ redirect: false });
  redirect("/sign-in");
}
