import { derivedKey } from "@flowtriq/services/runtime";
import { membershipsOf } from "@flowtriq/services/lookup";
import { verifyPassword } from "@flowtriq/services/user";
import NextAuth, { CredentialsSignin, type NextAuthResult } from "next-auth";
import Credentials from "next-auth/providers/credentials";
import { z } from "zod";

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

const Given = z.object({ email: z.string().trim().toLowerCase().max(254), password: z.string().min(1).max(1024) });

/** Refused, with a sentence for the person. */
export class Refused extends CredentialsSignin {
  constructor(sentence: string) {
    super(sentence);
    this.code = sentence;
  }
}

const result = NextAuth(() => ({
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
        if (!parsed.success || !host) return null;
        const person = await verifyPassword(parsed.data);
        if (!person) return null;
        const [workspace] = await membershipsOf(person.id);
        if (!workspace) throw new Refused("This account belongs to no workspace any more.");
        const { workspaceId, slug } = workspace;
        return { id: person.id, bound: { userId: person.id, workspaceId, slug, host, name: person.name, email: person.email } };
      },
    }),
  ],
  callbacks: {
    jwt: ({ token, user }) => (user?.bound ? { ...token, bound: user.bound } : token),
    session: ({ session, token }) => ({ ...session, bound: Bound.parse(token.bound) }),
  },
}));

export const auth: NextAuthResult["auth"] = result.auth;
export const signIn: NextAuthResult["signIn"] = result.signIn;
export const signOut: NextAuthResult["signOut"] = result.signOut;
