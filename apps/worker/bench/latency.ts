// Incident stored -> webhook received, through the real worker, Postgres and Redis on this machine:
//   node --import tsx apps/worker/bench/latency.ts [incidents]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { migrate } from "@flowtriq/db/migrate";
import { startReceiver } from "@flowtriq/fakes/receiver";
import { startPostgres, startRedis } from "../../../infra/local/services.mjs";
import { buildWorker, startProcess } from "../test/process.ts";
import { aWorld } from "../test/world.ts";

const count = Number(process.argv[2] ?? 200);
const undo: (() => Promise<unknown>)[] = [];
try {
  const dir = await mkdtemp(join(tmpdir(), "latency-"));
  undo.push(() => rm(dir, { recursive: true, force: true }));
  const postgres = await startPostgres({ dir });
  undo.push(postgres.stop);
  const redis = await startRedis({ dir });
  undo.push(redis.stop);
  await migrate(postgres.url);
  const database = useDatabase(openDatabase({ url: postgres.url }));
  undo.push(database.close);
  const receiver = await startReceiver();
  undo.push(receiver.stop);
  const world = await aWorld(database);
  await world.channel("webhook", receiver);
  await world.channel("slack", receiver);
  const built = await buildWorker();
  undo.push(built.remove);
  const worker = await startProcess(built, {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    WEB_URL: "https://dashboard.example",
  });
  undo.push(() => worker.end());

  /** From the commit's return to the last byte of the request, in milliseconds. */
  const storedAt = new Map<string, number>();
  const store = async () => {
    const id = await world.incident();
    storedAt.set(id, Date.now());
  };
  const receive = async () => {
    const { receivedAt, payload } = await receiver.next({ kind: "webhook" });
    const { id } = (payload as { data: { incident: { id: string } } }).data.incident;
    return { id, receivedAt };
  };
  const took = ({ id, receivedAt }: { id: string; receivedAt: Date }) =>
    Math.max(0, receivedAt.getTime() - (storedAt.get(id) ?? Number.NaN));

  const single: number[] = [];
  for (let n = 0; n < count; n++) {
    await store();
    single.push(took(await receive()));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  print("one at a time", single);

  await Promise.all(Array.from({ length: 100 }, store));
  const burst = [];
  for (let n = 0; n < 100; n++) burst.push(await receive());
  print("100 at once", burst.map(took));
} finally {
  for (const step of undo.reverse()) await step();
}

function print(name: string, values: number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  console.log(`${name}: n ${sorted.length}, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${sorted.at(-1)} ms`);
}
