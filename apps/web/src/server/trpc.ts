import { Refusal } from "@flowtriq/services/errors";
import { initTRPC, TRPCError } from "@trpc/server";
import superjson from "superjson";
import { z } from "zod";
import { contextOf, currentSession } from "./session.ts";

export const createContext = async () => ({ session: await currentSession() });

const t = initTRPC.context<Awaited<ReturnType<typeof createContext>>>().create({
  transformer: superjson,
  errorFormatter: ({ shape, error }) => ({
    ...shape,
    // What nobody foresaw is logged, not told.
    message: error.code === "INTERNAL_SERVER_ERROR" ? "Something went wrong on our side." : shape.message,
    data: { code: shape.data.code, httpStatus: shape.data.httpStatus },
  }),
});

const CODES: Record<number, TRPCError["code"]> = {
  400: "BAD_REQUEST",
  401: "UNAUTHORIZED",
  402: "FORBIDDEN",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  409: "CONFLICT",
  429: "TOO_MANY_REQUESTS",
};

/** A refusal of a service becomes the door's error, here and nowhere else. */
const translated = t.middleware(async ({ next }) => {
  const result = await next();
  if (result.ok) return result;
  const { cause } = result.error;
  if (cause instanceof Refusal)
    throw new TRPCError({ code: CODES[cause.status] ?? "BAD_REQUEST", message: cause.message, cause });
  return result;
});

/** Somebody who is signed in; who may do what is the verb's to say. */
export const member = t.procedure.use(translated).use(({ ctx, next }) => {
  if (!ctx.session) throw new TRPCError({ code: "UNAUTHORIZED", message: "Your session has ended. Sign in again." });
  return next({ ctx: contextOf(ctx.session) });
});

export const router = t.router;
export const createCaller = t.createCallerFactory;

/** The input of a list that is read page by page: the client says which way it goes, and there is one way only. */
export const pages = <S extends z.ZodRawShape>(input: z.ZodObject<S>) =>
  input.extend({ direction: z.literal("forward").optional() });
