import { InvalidInput, Refusal, TooManyRequests } from "@flowtriq/services/errors";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Logger } from "pino";

/** More than can be kept: the sender keeps it and comes again. */
export class Busy extends Refusal {
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds = 2) {
    super("busy", 503, "More is coming in than can be stored: send it again a little later.");
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

type Problem = { status: number; code: string; detail: string; issues?: unknown; retryAfterSeconds?: number };

const TITLES: Record<number, string> = {
  400: "Bad request",
  401: "Not authenticated",
  403: "Forbidden",
  404: "Not found",
  405: "Method not allowed",
  413: "Too large",
  415: "Unsupported media type",
  429: "Too many requests",
  500: "Internal error",
  503: "Unavailable",
};

/** Every error of this door is application/problem+json (RFC 9457). What nobody foresaw is logged, not told. */
export function answerWithProblems(app: FastifyInstance, log: Logger): void {
  app.setNotFoundHandler((_request, reply) =>
    send(reply, { status: 404, code: "not_found", detail: "Nothing is here." }),
  );
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500 && !(error instanceof Busy))
      log.error({ err: error, path: pathOf(request.url) }, "request failed");
    return send(reply, problem);
  });
}

export const pathOf = (url: string): string => url.split("?", 1)[0] ?? "";

function send(reply: FastifyReply, { status, code, detail, issues, retryAfterSeconds }: Problem) {
  if (retryAfterSeconds !== undefined) reply.header("retry-after", retryAfterSeconds);
  if (status === 401) reply.header("www-authenticate", "Bearer");
  const body = {
    type: "about:blank",
    title: TITLES[status] ?? "Error",
    status,
    code,
    detail,
    ...(issues ? { issues } : {}),
  };
  return reply.code(status).type("application/problem+json").serializer(JSON.stringify).send(body);
}

function problemOf(error: unknown): Problem {
  if (error instanceof Busy || error instanceof TooManyRequests) {
    const { status, code, message, retryAfterSeconds } = error;
    return { status, code, detail: message, retryAfterSeconds };
  }
  if (error instanceof InvalidInput) {
    return { status: 400, code: error.code, detail: error.message, issues: error.issues };
  }
  if (error instanceof Refusal) return { status: error.status, code: error.code, detail: error.message };
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  // Fastify's own: body too large, wrong content type, malformed JSON.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, code: statusCode === 413 ? "too_large" : "invalid_input", detail: message ?? "" };
  }
  if (databaseIsAway(error))
    return { status: 503, code: "unavailable", detail: "Try again shortly.", retryAfterSeconds: 1 };
  return { status: 500, code: "internal", detail: "Something went wrong on our side." };
}

/** Connection lost or refused, shutting down, out of resources, deadlock: the same may go well in a moment. */
export function databaseIsAway(error: unknown): boolean {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    const code = "code" in inner ? String(inner.code) : "";
    if (/^(08|40|53|57)|^(CONNECTION_|CONNECT_TIMEOUT|ECONN|ENOTFOUND|EPIPE|ETIMEDOUT)/.test(code)) return true;
  }
  return false;
}
