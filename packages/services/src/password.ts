import { hash, verify } from "@node-rs/argon2";
import { z } from "zod";
import { TooManyRequests } from "./errors.ts";

export const Password = z.string().min(12, "at least 12 characters").max(200);

// Argon2id as OWASP's cheat sheet has it: 19 MiB, two passes, one lane (the library's default algorithm is argon2id).
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const MAX_AT_ONCE = 2;
const MAX_WAITING = 40;

export const hashPassword = (password: string): Promise<string> => oneOfFew(() => hash(password, COST));

/** Takes as long for an unknown user (no hash) as for a wrong password. Throws TooManyRequests when too many wait. */
export async function passwordMatches(password: string, passwordHash: string | null | undefined): Promise<boolean> {
  decoy ??= hashPassword("the password of nobody");
  const known = passwordHash ?? (await decoy);
  const matches = await oneOfFew(() => verify(known, password));
  return matches && passwordHash !== null && passwordHash !== undefined;
}

let decoy: Promise<string> | undefined;

// Each takes 19 MiB and a core for a while: a flood of sign-ins must not take the machine.
let running = 0;
const waiting: (() => void)[] = [];

async function oneOfFew<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MAX_AT_ONCE) {
    if (waiting.length >= MAX_WAITING) throw new TooManyRequests(2);
    await new Promise<void>((done) => waiting.push(done)); // its place is handed over, `running` stays
  } else {
    running += 1;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}
