import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { migrate } from "@flowtriq/db/migrate";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { type Receiver, startReceiver } from "@flowtriq/fakes/receiver";
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { freePort, type Service, startPostgres, startRedis } from "../../../infra/local/services.mjs";
import { type Built, buildWorker, startProcess, type WorkerProcess } from "./process.ts";
import { aWorld, type World } from "./world.ts";

// Services of these tests' own, since they are taken away.
let built: Built;
let db: TestDatabase;
let receiver: Receiver;
let world: World;
let dir: string;
let prefix: string;
const workers: WorkerProcess[] = [];
const services: Service[] = [];

beforeAll(async () => {
  built = await buildWorker();
  db = await freshDatabase();
});
afterAll(async () => {
  await db?.drop();
  await built?.remove();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "worker-restarts-"));
  prefix = `test-${randomBytes(6).toString("hex")}`;
  receiver = await startReceiver();
  useDatabase(db);
  world = await aWorld(db);
  await world.channel("webhook", receiver);
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.end("SIGKILL")));
  await Promise.all(services.splice(0).map((service) => service.stop()));
  await receiver.stop();
  await rm(dir, { recursive: true, force: true });
});

async function start(redisUrl: string, databaseUrl = db.url): Promise<WorkerProcess> {
  const worker = await startProcess(built, {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    WEB_URL: "https://dashboard.example",
    QUEUE_PREFIX: prefix,
  });
  workers.push(worker);
  return worker;
}

async function redisOn(port: number): Promise<Service> {
  const redis = await startRedis({ dir, port, env: {} });
  services.push(redis);
  return redis;
}

/** The worst restart: it comes back without anything that it was given. */
const loseData = () => rm(join(dir, "redis"), { recursive: true, force: true });

const incidents = (count: number) => Array.from({ length: count }, () => () => world.incident());
async function oneByOne(tasks: (() => Promise<string>)[]): Promise<string[]> {
  const ids: string[] = [];
  for (const task of tasks) ids.push(await task());
  return ids;
}

/** Incident -> the webhook-ids under which it came. */
function received(): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const delivery of receiver.deliveries) {
    if (delivery.kind !== "webhook") continue;
    const { incident } = (delivery.payload as { data: { incident: { id: string } } }).data;
    ids.set(incident.id, [...(ids.get(incident.id) ?? []), delivery.id]);
  }
  return ids;
}

async function takeUntil(count: number) {
  while (received().size < count) await receiver.next({ kind: "webhook", timeoutMs: 60_000 });
}

function expectNoneMissed(ids: readonly string[], atMostTimes = 2) {
  const came = received();
  expect([...came.keys()].sort()).toEqual([...ids].sort());
  for (const [incident, deliveries] of came) {
    expect([incident, new Set(deliveries).size]).toEqual([incident, 1]);
    expect(deliveries.length).toBeLessThanOrEqual(atMostTimes);
  }
}

test("100 incidents: the worker is killed, Redis loses everything, and all arrive", { timeout: 120_000 }, async () => {
  const port = await freePort();
  const redis = await redisOn(port);
  // Slow enough that messages are under way when the worker dies.
  receiver.misbehave("webhook", 30, { do: "delay", ms: 100 });
  const first = await start(redis.url);

  const ids = await oneByOne(incidents(40));
  await takeUntil(5);
  await first.end("SIGKILL");
  ids.push(...(await oneByOne(incidents(20))));
  await redis.stop();
  await loseData();
  ids.push(...(await oneByOne(incidents(20))));
  await start(redis.url);
  await redisOn(port);
  ids.push(...(await oneByOne(incidents(20))));

  await takeUntil(100);
  await world.settled();
  expectNoneMissed(ids);
});

test("100 incidents: the worker is killed again and again, Redis keeps its data, and all arrive", {
  timeout: 120_000,
}, async () => {
  const redis = await redisOn(await freePort());
  const ids: string[] = [];
  for (let round = 0; round < 4; round++) {
    const worker = await start(redis.url);
    ids.push(...(await oneByOne(incidents(25))));
    await takeUntil(round * 20 + 1);
    await worker.end("SIGKILL");
  }
  await start(redis.url);
  await takeUntil(100);
  await world.settled();
  // A message that was under way at every kill.
  expectNoneMissed(ids, 5);
});

test("Redis goes away and comes back empty under a living worker, and all arrive", { timeout: 120_000 }, async () => {
  const port = await freePort();
  const redis = await redisOn(port);
  const worker = await start(redis.url);
  // Failures first, so that there are jobs that wait in Redis for their next attempt.
  receiver.misbehave("webhook", 10, { do: "answer", status: 503 });
  const ids = await oneByOne(incidents(20));
  while (receiver.refusals.length < 10) await receiver.next({ kind: "webhook" });
  await redis.stop();
  await loseData();
  ids.push(...(await oneByOne(incidents(20))));
  const away = await fetch(`${worker.url}/healthz`);
  expect([away.status, await away.json()]).toEqual([503, { postgres: true, redis: false }]);
  await redisOn(port);
  await takeUntil(40);
  await world.settled();
  expectNoneMissed(ids);
  expect((await fetch(`${worker.url}/healthz`)).status).toBe(200);
});

test("Postgres restarts under a living worker, and what is stored afterwards arrives", {
  timeout: 120_000,
}, async () => {
  const port = await freePort();
  let postgres = await startPostgres({ dir, port, durable: false, env: {} });
  services.push(postgres);
  await migrate(postgres.url);
  const own = useDatabase(openDatabase({ url: postgres.url }));
  try {
    world = await aWorld(own);
    await world.channel("webhook", receiver);
    await start(inject("redisUrl"), postgres.url);
    const ids = [await world.incident()];
    await takeUntil(1);
    await postgres.stop();
    postgres = await startPostgres({ dir, port, durable: false, env: {} });
    services.push(postgres);
    ids.push(...(await oneByOne(incidents(10))));
    await takeUntil(11);
    expectNoneMissed(ids);
  } finally {
    await own.close();
  }
});
