import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import type { Context } from "./context.ts";
import { Unauthenticated } from "./errors.ts";
import { derivedKey } from "./runtime.ts";
import { authorize } from "./verb.ts";

const AUDIENCE = "live";
export const TICKET_SECONDS = 60;

/** Opens the live stream of this workspace, and nothing else, within a minute. It travels in an address, hence so short. */
export async function ticket(ctx: Context): Promise<string> {
  authorize("viewer", ctx);
  const issued = Math.floor(ctx.now.getTime() / 1000);
  return new SignJWT({ wsp: ctx.workspaceId })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(AUDIENCE)
    .setSubject(ctx.actor.kind === "user" ? ctx.actor.userId : ctx.actor.kind)
    .setIssuedAt(issued)
    .setExpirationTime(issued + TICKET_SECONDS)
    .sign(derivedKey("live ticket"));
}

const Claims = z.object({ wsp: z.string().min(1).max(64), sub: z.string().max(64) });

/** Throws Unauthenticated for a ticket that is forged, for something else, or too old. */
export async function verifyTicket(text: string, now = new Date()): Promise<{ workspaceId: string; subject: string }> {
  try {
    const options = { algorithms: ["HS256"], audience: AUDIENCE, currentDate: now, requiredClaims: ["exp"] };
    const { payload } = await jwtVerify(text, derivedKey("live ticket"), options);
    const { wsp, sub } = Claims.parse(payload);
    return { workspaceId: wsp, subject: sub };
  } catch {
    throw new Unauthenticated("The ticket is not valid, or too old: ask for a new one.");
  }
}
