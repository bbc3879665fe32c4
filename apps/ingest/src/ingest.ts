import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import cors from "@fastify/cors";
import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { listen } from "@flowtriq/db/listen";
import { metrics } from "@flowtriq/metrics/store";
import { AGENT_PATHS, EnrollRequest, Report, withoutNewerEvents } from "@flowtriq/protocol/wire";
import { Unauthenticated } from "@flowtriq/services/errors";
import { verifyTicket } from "@flowtriq/services/live";
import { enroll } from "@flowtriq/services/node";
import { LIVE_CHANNEL, LiveNotice, POLICY_CHANNEL } from "@flowtriq/services/notify";
import { configureServices } from "@flowtriq/services/runtime";
import { parse } from "@flowtriq/services/verb";
import { type FastifyRequest, fastify } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { parseBody } from "./body.ts";
import type { Env } from "./env.ts";
import { Keys, type NodeIdentity } from "./keys.ts";
import { Limiter } from "./limiter.ts";
import { Live } from "./live.ts";
import { Policies } from "./policies.ts";
import { answerWithProblems, Busy } from "./problem.ts";
import { Reports } from "./reports.ts";
import { Streams } from "./sse.ts";

export type Ingest = { url: string; stop(): Promise<void> };

/** A full report of 120 seconds with all their lanes. */
const MAX_REPORT_BYTES = 4_000_000;
const MAX_ENROLL_BYTES = 32_000;
const MAX_STREAMS = 50_000;
/** A page asks for a new ticket this often, so that who was removed does not watch for ever. */
const LIVE_STREAM_MS = 15 * 60_000;
const POLICY_STREAM_MS = 6 * 3_600_000;
const COMPACT_EVERY_MS = 10_000;

declare module "fastify" {
  interface FastifyRequest {
    node: NodeIdentity;
  }
}

/** The agents' door and the browsers' live stream. Throws when it cannot reach Postgres or take its port. */
export async function startIngest(env: Env, log: Logger): Promise<Ingest> {
  const database = useDatabase(
    openDatabase({
      url: env.DATABASE_URL,
      connections: env.DATABASE_CONNECTIONS,
      systemConnections: Math.ceil(env.DATABASE_CONNECTIONS / 2),
    }),
  );
  configureServices({ secret: env.APP_SECRET, deployment: { allowLoopback: false } });
  const keys = new Keys();
  const attempts = new Limiter(env.ATTEMPTS_PER_MINUTE);
  const streams = new Streams();
  const policies = new Policies(log);
  const live = new Live(env.REDIS_URL, log);
  const reports = new Reports({
    // Two connections stay free for snapshots and policies.
    atOnce: Math.max(1, env.DATABASE_CONNECTIONS - 2),
    maxWaiting: env.MAX_WAITING_REPORTS,
    onStored: (stored) => live.stored(stored),
  });
  let listening = false;
  let ending = false;
  const listener = await listen({
    url: env.DATABASE_URL,
    on: {
      [POLICY_CHANNEL]: (workspaceId) => policies.changed(workspaceId),
      [LIVE_CHANNEL]: (text) => live.notice(LiveNotice.parse(JSON.parse(text))),
    },
    onListening: () => {
      listening = true;
      policies.refreshAll();
    },
    onLost: (error) => {
      listening = false;
      log.warn({ err: error }, "listening again");
    },
  }).catch(async (error: unknown) => {
    await Promise.all([database.close(), live.close()]);
    throw error;
  });
  const compacting = every(COMPACT_EVERY_MS, () => metrics.compact(new Date()), log);

  const app = fastify({
    logger: false,
    trustProxy: env.TRUST_PROXY,
    bodyLimit: MAX_ENROLL_BYTES,
    requestTimeout: 30_000,
    forceCloseConnections: "idle",
  });
  let inFlight = 0;
  app.server.on("request", (_request, response: ServerResponse) => {
    inFlight += 1;
    response.once("close", () => {
      inFlight -= 1;
    });
  });
  answerWithProblems(app, log);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, async (_request: FastifyRequest, body: string) =>
    parseBody(body),
  );
  app.decorateRequest("node");
  await app.register(cors, { origin: env.LIVE_ORIGINS.includes("*") ? "*" : env.LIVE_ORIGINS, methods: ["GET"] });

  /** Before the body is read: a stranger's is not looked at. */
  const authenticate = async (request: FastifyRequest) => {
    attempts.check(request.ip);
    const key = /^Bearer ([\w-]{20,200})$/.exec(request.headers.authorization ?? "")?.[1];
    const identity = key ? await keys.identify(key) : undefined;
    if (!identity) {
      attempts.take(request.ip);
      throw new Unauthenticated("The node key is missing or not valid. Enrol the node again.");
    }
    request.node = identity;
  };

  app.post(
    AGENT_PATHS.enroll,
    {
      onRequest: async (request) => {
        attempts.check(request.ip);
        attempts.take(request.ip);
      },
    },
    (request) => enroll(new Date(), parse(EnrollRequest, request.body)),
  );

  app.post(AGENT_PATHS.report, { onRequest: authenticate, bodyLimit: MAX_REPORT_BYTES }, async (request) => {
    const { body, newer } = withoutNewerEvents(request.body);
    const report = parse(Report, body);
    const bytes = Number(request.headers["content-length"] ?? MAX_REPORT_BYTES);
    const answer = await reports.submit({ ...request.node, report }, bytes);
    return { ...answer, acknowledged: [...answer.acknowledged, ...newer] };
  });

  app.get(AGENT_PATHS.policyStream, { onRequest: authenticate }, (request, reply) => {
    if (ending || streams.size >= MAX_STREAMS) throw new Busy();
    let unsubscribe = () => {};
    const stream = streams.open(reply, { maxAgeMs: POLICY_STREAM_MS, onClose: () => unsubscribe() });
    unsubscribe = policies.subscribe(request.node, stream);
  });

  const LiveQuery = z.object({ ticket: z.string().max(2000) });
  app.get("/live", async (request, reply) => {
    const query = LiveQuery.safeParse(request.query);
    if (!query.success) throw new Unauthenticated("A ticket is needed.");
    const { workspaceId } = await verifyTicket(query.data.ticket);
    if (ending || streams.size >= MAX_STREAMS || live.isFull(workspaceId)) throw new Busy();
    let detach = () => {};
    const stream = streams.open(reply, { maxAgeMs: LIVE_STREAM_MS, onClose: () => detach() });
    const attached = live.attach(workspaceId, stream);
    detach = attached.detach;
    attached.started.catch((error: unknown) => {
      log.warn({ err: error, workspaceId }, "live stream without a snapshot");
      stream.end(); // the page comes back
    });
  });

  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const stored = await database.raw.system`select 1`.then(
      () => true,
      () => false,
    );
    const parts = { postgres: stored, listening, redis: live.isReady(), accepting: !ending };
    const ready = Object.values(parts).every(Boolean);
    return reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "not ready", ...parts });
  });

  const stop = async () => {
    ending = true;
    streams.end();
    // Answers what is in flight, which waits for its commit. Connections without a request would be waited for as well: those
    // that turn idle meanwhile, and those on which nothing was ever asked, which Node does not count as idle.
    const closeOthers = setInterval(() => {
      if (inFlight === 0) app.server.closeAllConnections();
      else app.server.closeIdleConnections();
    }, 50);
    await app.close().finally(() => clearInterval(closeOthers));
    await reports.drained();
    await compacting.stop();
    await listener.close();
    await live.close();
    await database.close();
  };
  try {
    await app.listen({ host: env.HOST, port: env.PORT });
  } catch (error) {
    await stop();
    throw error;
  }
  const { port } = app.server.address() as AddressInfo;
  return { url: `http://${env.HOST.includes(":") ? `[${env.HOST}]` : env.HOST}:${port}`, stop };
}

/** One at a time, again after a rest, also when it failed. */
function every(ms: number, work: () => Promise<unknown>, log: Logger): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let running: Promise<unknown> = Promise.resolve();
  const plan = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = work().catch((error: unknown) => log.warn({ err: error }, "compacting, again later"));
      void running.then(plan);
    }, ms);
    timer.unref();
  };
  plan();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
