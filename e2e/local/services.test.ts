import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import postgres from "postgres";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort, startPostgres, startRedis } from "../../infra/local/services.mjs";

const LIBRARY = new URL("../../infra/local/services.mjs", import.meta.url).href;
const env = {}; // a DATABASE_URL of the caller must not turn these tests into tests of nothing
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "services-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function sql<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const client = postgres(url, { max: 1 });
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

test("Postgres keeps its rows over a stop and a start, also with a client still connected", async () => {
  const first = await startPostgres({ dir, env });
  const idle = postgres(first.url, { max: 1 });
  await idle`create table kept (word text)`;
  await idle`insert into kept values ('here')`;
  await first.stop();
  await idle.end({ timeout: 0 });

  const second = await startPostgres({ dir, env });
  try {
    expect(await sql(second.url, (db) => db`select word from kept`)).toMatchObject([{ word: "here" }]);
  } finally {
    await second.stop();
  }
});

test("Redis keeps its keys over a stop and a start", async () => {
  for (const expected of [null, "here"]) {
    const server = await startRedis({ dir, env });
    const client = new Redis(server.url);
    try {
      expect(await client.get("kept")).toBe(expected);
      await client.set("kept", "here");
    } finally {
      client.disconnect();
      await server.stop();
    }
  }
});

test("after kill -9 of the starter the servers end, and the next start finds the rows", async () => {
  const script = `
    import { startPostgres, startRedis } from ${JSON.stringify(LIBRARY)};
    const options = { dir: ${JSON.stringify(dir)}, env: {} };
    const database = await startPostgres(options);
    await startRedis(options);
    console.log(database.url);
    setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(starter.stdout, "data")) as [Buffer];
  await sql(line.toString().trim(), async (db) => {
    await db`create table kept (word text)`;
    await db`insert into kept values ('here')`;
  });
  starter.kill("SIGKILL");
  await once(starter, "exit");

  const database = await startPostgres({ dir, env });
  const redis = await startRedis({ dir, env });
  try {
    expect(await sql(database.url, (db) => db`select word from kept`)).toHaveLength(1);
  } finally {
    await Promise.all([database.stop(), redis.stop()]);
  }
});

test("a second start on data in use is refused with the process to end", async () => {
  const first = await startPostgres({ dir, env });
  try {
    await expect(startPostgres({ dir, env })).rejects.toThrow(new RegExp(`process ${process.pid}`));
  } finally {
    await first.stop();
  }
});

test("without the password nobody gets in", async () => {
  const database = await startPostgres({ dir, env });
  const redis = await startRedis({ dir, env });
  const stranger = new Redis(redis.url.replace(/:[^:@/]+@/, ":wrong@"), { retryStrategy: () => null });
  const answers: string[] = [];
  stranger.on("error", (error) => answers.push(error.message));
  try {
    const wrong = database.url.replace(/:[^:@/]+@/, ":wrong@");
    await expect(sql(wrong, (db) => db`select 1`)).rejects.toThrow(/password authentication failed/);
    await expect(stranger.get("x")).rejects.toThrow();
    expect(answers.join()).toMatch(/WRONGPASS/);
  } finally {
    stranger.disconnect();
    await Promise.all([database.stop(), redis.stop()]);
  }
});

test("given URLs are used as they are and nothing is started", async () => {
  const given = { DATABASE_URL: "postgres://elsewhere/x", REDIS_URL: "redis://elsewhere" };
  const database = await startPostgres({ dir, env: given });
  const redis = await startRedis({ dir, env: given });
  expect([database.url, redis.url]).toEqual([given.DATABASE_URL, given.REDIS_URL]);
  await Promise.all([database.stop(), redis.stop()]);
});

test("a port that is taken is refused by name, never replaced by another", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  try {
    await expect(freePort(port, "the dashboard")).rejects.toThrow(`Port ${port} for the dashboard is taken`);
  } finally {
    other.close();
  }
});
