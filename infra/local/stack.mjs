// The whole service on one machine: Postgres, Redis, ingest, worker and web, each waited for.

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answers, startProcess, untilReady } from "./processes.mjs";
import { run } from "./progress.mjs";
import { freePort, ROOT, startPostgres, startRedis } from "./services.mjs";

/** Loopback ports that `npm start` takes when the environment names no others. 0 takes any free one. */
export const PORTS = { web: 3000, ingest: 4001, worker: 4002, receiver: 4003 };

/**
 * Starts everything on the data in `dir` and resolves when all of it answers. If one part fails, those before it are stopped.
 * `dev` serves web with `next dev` and runs ingest and worker from their sources, restarting them when these change.
 */
export async function startStack({ dir, ports = {}, env = process.env, dev = false, demo = true, log = () => {} }) {
  mkdirSync(dir, { recursive: true });
  const running = [];
  const stop = async () => {
    while (running.length > 0) await running.pop().stop();
  };
  try {
    log("Starting Postgres and Redis");
    const postgres = await startPostgres({ dir, env });
    running.push(postgres);
    const redis = await startRedis({ dir, env });
    running.push(redis);
    const webPort = await freePort(ports.web ?? PORTS.web, "the dashboard (WEB_PORT)");
    const ingestPort = await freePort(ports.ingest ?? PORTS.ingest, "ingest (INGEST_PORT)");
    const workerPort = await freePort(ports.worker ?? PORTS.worker, "the worker's health page (WORKER_PORT)");
    const receiverPort = await freePort(ports.receiver ?? PORTS.receiver, "the demonstration's alerts (RECEIVER_PORT)");
    const webUrl = `http://localhost:${webPort}`;
    const ingestUrl = `http://127.0.0.1:${ingestPort}`;
    const kept = secrets(dir);
    const receiver = { port: receiverPort, webhookSecret: kept.webhookSecret };
    const shared = {
      ...env,
      APP_SECRET: env.APP_SECRET || kept.appSecret,
      NODE_ENV: dev ? "development" : "production",
      NEXT_TELEMETRY_DISABLED: "1",
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      WEB_URL: webUrl,
      ...(demo && { ALERTS_ALLOW_LOOPBACK: "true" }), // the demonstration's receiver is on loopback
    };

    log("Bringing the database to this version");
    const prepared = await prepare({ ...shared, RECEIVER: JSON.stringify(receiver) }, dir, demo);

    log(dev ? "Starting web (dev), ingest and worker" : "Starting web, ingest and worker");
    const watched = [];
    const part = async (name, more, url, command, cwd = ROOT) => {
      const child = startProcess({
        name,
        file: process.execPath,
        args: command,
        cwd,
        env: { ...shared, ...more },
        log: join(dir, "log", `${name}.log`),
      });
      running.push(child);
      watched.push(child);
      await untilReady(child, answers(url), { seconds: dev ? 120 : 60 });
    };
    const program = (app) =>
      dev
        ? ["--import", "tsx", "--watch-path", `apps/${app}/src`, `apps/${app}/src/main.ts`]
        : [`apps/${app}/dist/main.mjs`];
    await Promise.all([
      part("ingest", { HOST: "127.0.0.1", PORT: String(ingestPort) }, `${ingestUrl}/healthz`, program("ingest")),
      part("worker", { WORKER_PORT: String(workerPort) }, `http://127.0.0.1:${workerPort}/healthz`, program("worker")),
      part(
        "web",
        { HOSTNAME: "127.0.0.1", PORT: String(webPort), LIVE_URL: `:${ingestPort}/live` },
        `${webUrl.replace("localhost", "127.0.0.1")}/api/health`,
        dev ? ["node_modules/next/dist/bin/next", "dev", "-p", String(webPort), "-H", "127.0.0.1"] : ["server.js"],
        join(ROOT, dev ? "apps/web" : "apps/web/.next/standalone/apps/web"),
      ),
    ]);
    return {
      webUrl,
      ingestUrl,
      databaseUrl: postgres.url,
      redisUrl: redis.url,
      receiver,
      env: shared,
      ...prepared,
      /** Resolves when a part ends that should not have; to the words that say which. */
      broken: Promise.race(
        watched.map((child) => child.whenEnded.then((how) => `${child.name} ${how}. Its log: ${child.log}`)),
      ),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Migrates and seeds; what it prints is what the caller must know: the demo login and a receiver's settings. */
async function prepare(env, dir, demo) {
  const folder = join(ROOT, "infra/local");
  const args = ["--import", "tsx", "prepare.ts", ...(demo ? ["--demo"] : [])];
  const printed = await run(process.execPath, args, { cwd: folder, env, log: join(dir, "log/prepare.log") });
  return JSON.parse(printed.trim().split("\n").at(-1));
}

/** Made at the first run and kept beside the data that they seal, readable by their owner alone. */
function secrets(dir) {
  const file = join(dir, "secrets.json");
  if (!existsSync(file)) {
    const made = {
      appSecret: randomBytes(32).toString("base64url"),
      webhookSecret: `whsec_${randomBytes(32).toString("base64")}`,
    };
    writeFileSync(file, JSON.stringify(made), { mode: 0o600 });
  }
  chmodSync(file, 0o600);
  return JSON.parse(readFileSync(file, "utf8"));
}
