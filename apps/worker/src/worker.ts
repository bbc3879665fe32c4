import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { database } from "@flowtriq/db/client";
import { openDeliverer } from "@flowtriq/services/alert/deliver";
import { openOutbound } from "@flowtriq/services/alert/outbound";
import type { Logger } from "@flowtriq/services/log";
import { OUTBOX_CHANNEL } from "@flowtriq/services/notify";
import { openServices } from "@flowtriq/services/open";
import type { Env } from "./env.ts";
import { handle } from "./handlers.ts";
import { listen } from "./listen.ts";
import { openQueue } from "./queue.ts";
import { type Relay, startRelay } from "./relay.ts";
import { startSchedule } from "./schedule.ts";

export interface RunningWorker {
  /** Where /healthz is served. */
  url: string;
  /** Takes nothing new and ends what is under way. */
  stop(): Promise<void>;
}

export async function startWorker(env: Env, log: Logger): Promise<RunningWorker> {
  const deployment = { allowLoopback: env.ALERTS_ALLOW_LOOPBACK };
  const services = openServices({ databaseUrl: env.DATABASE_URL, secret: env.APP_SECRET, deployment });

  const outbound = openOutbound(deployment);
  const deliverer = openDeliverer({ outbound, dashboardUrl: env.WEB_URL });
  // The queue is there before the relay that fills it, and both call each other.
  let relay: Relay | undefined;
  const queue = openQueue(
    env,
    log,
    async (job) => handle(job, { deliverer }),
    () => relay?.doubt(),
  );
  relay = startRelay(queue.add, log);
  relay.doubt();
  const ear = listen({ url: env.DATABASE_URL, channel: OUTBOX_CHANNEL, log }, relay.wake);
  const schedule = startSchedule(log);
  const health = await serveHealth(env, queue.ping);
  const url = `http://${env.WORKER_HOST}:${(health.address() as AddressInfo).port}`;
  log.info({ url }, "worker ready");

  return {
    url,
    stop: async () => {
      health.close();
      await Promise.all([ear.close(), schedule.stop(), relay.stop()]);
      await queue.close();
      await outbound.close();
      await services.close();
    },
  };
}

function serveHealth(env: Env, pingRedis: () => Promise<boolean>): Promise<Server> {
  const server = createServer(async (request, response) => {
    if (request.method !== "GET" || request.url !== "/healthz") {
      response.writeHead(404).end();
      return;
    }
    const [postgres, redis] = await Promise.all([pingPostgres(), pingRedis()]);
    response
      .writeHead(postgres && redis ? 200 : 503, { "content-type": "application/json" })
      .end(JSON.stringify({ postgres, redis }));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(env.WORKER_PORT, env.WORKER_HOST, () => resolve(server));
  });
}

async function pingPostgres(): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, false).unref());
  const answered = database().raw.system`select 1`.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, late]);
}
