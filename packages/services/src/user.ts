import { withSystem } from "@flowtriq/db/client";
import { user } from "@flowtriq/db/schema/workspace";
import { eq, sql } from "drizzle-orm";
import { z } from "zod";
import { type Membership, membershipsOf } from "./lookup.ts";
import { passwordMatches } from "./password.ts";

export const VerifyPasswordInput = z.object({
  email: z.string().trim().toLowerCase().max(254),
  password: z.string().max(1024),
});

export type SignedIn = { id: string; email: string; name: string; memberships: Membership[] };

/** Wrong passwords in a row before the account is closed to passwords, first for one minute, then for twice as long each time. */
const FREE_ATTEMPTS = 8;
const MAX_LOCK_MINUTES = 60;

/**
 * Who this is, and where they may go. Undefined for a wrong password, an unknown address and a locked account alike: all
 * three take as long. Throws TooManyRequests under a flood.
 */
export async function verifyPassword(
  input: z.input<typeof VerifyPasswordInput>,
  now: Date = new Date(),
): Promise<SignedIn | undefined> {
  const parsed = VerifyPasswordInput.safeParse(input);
  if (!parsed.success) return undefined;
  const { email, password } = parsed.data;
  const [found] = await withSystem((tx) => tx.select().from(user).where(eq(user.email, email)));
  const matches = await passwordMatches(password, found?.passwordHash);
  if (!found) return undefined;
  if (found.lockedUntil && found.lockedUntil > now) return undefined;
  if (!matches) {
    await noteFailure(found.id, now);
    return undefined;
  }
  if (found.failedAttempts > 0) {
    await withSystem((tx) =>
      tx.update(user).set({ failedAttempts: 0, lockedUntil: null }).where(eq(user.id, found.id)),
    );
  }
  const { id, name } = found;
  return { id, email, name, memberships: await membershipsOf(id) };
}

async function noteFailure(userId: string, now: Date): Promise<void> {
  await withSystem(async (tx) => {
    const [failed] = await tx
      .update(user)
      .set({ failedAttempts: sql`least(${user.failedAttempts} + 1, 1000)` })
      .where(eq(user.id, userId))
      .returning({ attempts: user.failedAttempts });
    const beyond = (failed?.attempts ?? 0) - FREE_ATTEMPTS;
    if (beyond < 0) return;
    const minutes = Math.min(2 ** beyond, MAX_LOCK_MINUTES);
    await tx
      .update(user)
      .set({ lockedUntil: new Date(now.getTime() + minutes * 60_000) })
      .where(eq(user.id, userId));
  });
}
