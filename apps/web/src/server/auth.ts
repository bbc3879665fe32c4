import { TooManyRequests } from "@flowtriq/services/errors";
import { derivedKey } from "@flowtriq/services/runtime";
import { type SignedIn, verifyPassword } from "@flowtriq/services/user";
import NextAuth, { CredentialsSignin, type NextAuthResult } from "next-auth";
import Credentials from "next-auth/providers/credentials";
import { z } from "zod";
import { brandOf } from "./brand.ts";
import { connect } from "./connect.ts";

/** What a session is good for: one person in one workspace on one host. A cookie replayed elsewhere is nobody's. */
const Bound = z.object({
  userId: z.string(),
  workspaceId: z.string(),
  slug: z.string(),
  host: z.string(),
  name: z.string(),
  email: z.string(),
});
export type Bound = z.infer<typeof Bound>;

declare module "next-auth" {
  interface Session {
    bound: Bound;
  }
  interface User {
    bound?: Bound;
  }
}

const Given = z.object({ email: z.string().max(254), password: z.string().min(1).max(1024) });

/** Refused, with a sentence for the person. */
export class Refused extends CredentialsSignin {
  constructor(sentence: string) {
    super(sentence);
    this.code = sentence;
  }
}

const result = NextAuth(() => {
  connect();
  return {
    secret: Buffer.from(derivedKey("session")).toString("base64url"),
    trustHost: true, // x-forwarded-host is set by our own proxy.ts, never by a client
    session: { strategy: "jwt", maxAge: 7 * 86_400 },
    pages: { signIn: "/sign-in", error: "/sign-in" },
    logger: { error: (error) => error instanceof CredentialsSignin || console.error(error) },
    providers: [
      Credentials({
        credentials: { email: {}, password: {} },
        authorize: async (given, request) => {
          const parsed = Given.safeParse(given);
          const host = request.headers.get("x-brand-host");
          return parsed.success && host ? bind(parsed.data, host) : null;
        },
      }),
    ],
    callbacks: {
      jwt: ({ token, user }) => (user?.bound ? { ...token, bound: user.bound } : token),
      session: ({ session, token }) => ({ ...session, bound: Bound.parse(token.bound) }),
    },
  };
});

/** On a brand's own host only its own workspace is entered; elsewhere the first by name. Null: not this person, or not here. */
async function bind(given: z.infer<typeof Given>, host: string) {
  const [signedIn, brand] = await Promise.all([verify(given), brandOf(host)]);
  const home = brand?.workspaceId ?? undefined;
  const found = signedIn?.memberships.find(({ workspaceId }) => home === undefined || workspaceId === home);
  if (!signedIn || !brand || !found) return null;
  const { id, name, email } = signedIn;
  return { id, bound: { userId: id, workspaceId: found.workspaceId, slug: found.slug, host, name, email } };
}

async function verify(given: z.infer<typeof Given>): Promise<SignedIn | undefined> {
  try {
    return await verifyPassword(given);
  } catch (error) {
    if (error instanceof TooManyRequests) throw new Refused(error.message);
    throw error;
  }
}

export const auth: NextAuthResult["auth"] = result.auth;
export const signIn: NextAuthResult["signIn"] = result.signIn;
export const signOut: NextAuthResult["signOut"] = result.signOut;
