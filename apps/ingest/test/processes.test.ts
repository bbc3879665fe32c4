import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { withSystem } from "@flowtriq/db/client";
import { aWorkspace } from "@flowtriq/db/factories";
import { incidentEvent, nodeSecond } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import type { LiveFrame, ReportResponse } from "@flowtriq/protocol/wire";
import { systemContext } from "@flowtriq/services/context";
import { anAttack, anObservation, aReport } from "@flowtriq/services/factories";
import { ticket } from "@flowtriq/services/live";
import * as policy from "@flowtriq/services/policy";
import { configureServices } from "@flowtriq/services/runtime";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Events, enrolled, environment, SECRET } from "./door.ts";

let db: TestDatabase;
let folder: string;
let program: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  configureServices({ secret: SECRET, deployment: { allowLoopback: false } });
  db = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), "ingest-"));
  program = join(folder, "main.mjs");
  await promisify(execFile)(process.execPath, [new URL("../build.mjs", import.meta.url).pathname, program]);
});
afterEach(async () => {
  for (const child of running) await end(child, "SIGKILL");
});
afterAll(async () => {
  await db.drop();
  await rm(folder, { recursive: true, force: true });
});

/** The program as it is delivered, in a process of its own. */
async function start(more: Record<string, string> = {}) {
  const env = { PATH: process.env.PATH ?? "", ...environment(db.url), LOG_LEVEL: "info", ...more };
  const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  const lines: string[] = [];
  const url = await new Promise<string>((found, fail) => {
    child.once("exit", (code) => fail(new Error(`ingest ended with ${code}`)));
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line);
      const { url, msg } = JSON.parse(line) as { url?: string; msg?: string };
      if (msg === "listening" && url) found(url);
    });
  });
  return { child, url, lines };
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  running.delete(child);
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal);
    await once(child, "exit");
  }
  return child.exitCode;
}

/** Nodes that report as fast as they are answered, events and seconds, until the door is gone. Returns what was acknowledged. */
async function load(url: string, nodes: number, enough: (acknowledged: number) => void) {
  const workspace = await aWorkspace();
  const events = new Set<string>();
  const seconds = new Set<string>();
  const hosts = await Promise.all(Array.from({ length: nodes }, () => enrolled({ url }, workspace.id)));
  const start = Date.now();
  await Promise.all(
    hosts.map(async (host) => {
      for (let round = 0; ; round++) {
        const attack = round % 3 === 0 ? anAttack().all : [];
        const observation = anObservation(new Date(Math.floor(start / 1000) * 1000 + round * 1000));
        const answer = await host
          .report(aReport({ events: attack, observations: [observation] }))
          .then(async (response) => (response.ok ? ((await response.json()) as ReportResponse) : undefined))
          .catch(() => undefined);
        if (!answer) return;
        for (const id of answer.acknowledged) events.add(id);
        seconds.add(`${host.nodeId} ${Date.parse(observation.at) - 1000}`);
        enough(seconds.size);
      }
    }),
  );
  return { events, seconds };
}

async function missing({ events, seconds }: Awaited<ReturnType<typeof load>>) {
  const [storedEvents, storedSeconds] = await withSystem(async (tx) => [
    new Set((await tx.select({ id: incidentEvent.id }).from(incidentEvent)).map(({ id }) => id)),
    new Set((await tx.select().from(nodeSecond)).map(({ nodeId, at }) => `${nodeId} ${at.getTime()}`)),
  ]);
  return [
    ...[...events].filter((id) => !storedEvents!.has(id)),
    ...[...seconds].filter((key) => !storedSeconds!.has(key)),
  ];
}

test("killed with -9 under load, it loses nothing that it acknowledged", async () => {
  const { child, url } = await start();
  const acknowledged = await load(url, 8, (count) => {
    if (count === 200) child.kill("SIGKILL");
  });
  expect(acknowledged.events.size).toBeGreaterThan(50);
  expect(await missing(acknowledged)).toEqual([]);
});

test("told to end under load, it commits what it accepted, closes its streams and leaves with 0", async () => {
  const { child, url } = await start();
  const host = await enrolled({ url });
  const stream = await Events.open(`${url}/agent/v1/policy/stream`, { authorization: `Bearer ${host.nodeKey}` });
  await stream.next();
  const exit = once(child, "exit");
  const acknowledged = await load(url, 8, (count) => {
    if (count === 100) child.kill("SIGTERM");
  });
  await stream.ended();
  expect(await exit).toEqual([0, null]);
  expect(await missing(acknowledged)).toEqual([]);
});

test("what one process stores, a dashboard at another one shows", async () => {
  const [one, two] = await Promise.all([start(), start()]);
  const host = await enrolled(one);
  const live = await Events.open(`${two.url}/live?ticket=${await ticket(systemContext(host.workspaceId))}`);
  // Seen in the snapshot or after it: from then on the stream is live.
  const { started } = anAttack();
  await host.report(aReport({ events: [started], observations: [anObservation(new Date(), { pps: 1 })] }));
  await live.next(({ data }) => (data as LiveFrame).type === "incident");
  await host.report(aReport({ observations: [anObservation(new Date(Date.now() + 1000), { pps: 77 })] }));
  await live.next(({ data }) => (data as { pps?: number }).pps === 77);
  live.close();
});

test("a policy stream survives the loss of the database's notices", async () => {
  const { url } = await start();
  const host = await enrolled({ url });
  const stream = await Events.open(`${url}/agent/v1/policy/stream`, { authorization: `Bearer ${host.nodeKey}` });
  await stream.next();
  const cut =
    await db.owner`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listener' and datname = current_database()`;
  expect(cut).toHaveLength(1);
  await policy.update(systemContext(host.workspaceId), { policy: { mode: "enforce" } });
  expect((await stream.next()).data).toMatchObject({ revision: 2, policy: { mode: "enforce" } });
  stream.close();
});

test("without Redis, reports are stored and the dashboard at the same process still moves", async () => {
  const { url } = await start({ REDIS_URL: "redis://127.0.0.1:1" });
  const host = await enrolled({ url });
  const live = await Events.open(`${url}/live?ticket=${await ticket(systemContext(host.workspaceId))}`);
  const { started } = anAttack();
  expect((await host.report(aReport({ events: [started] }))).status).toBe(200);
  await live.next(({ data }) => (data as LiveFrame).type === "incident");
  await host.report(aReport({ observations: [anObservation(new Date(), { pps: 77 })] }));
  await live.next(({ data }) => (data as { pps?: number }).pps === 77);
  live.close();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
});

test("no secret is in the log", async () => {
  const { child, url, lines } = await start({ LOG_LEVEL: "trace" });
  const host = await enrolled({ url });
  const text = await ticket(systemContext(host.workspaceId));
  const live = await Events.open(`${url}/live?ticket=${text}`);
  await fetch(`${url}/live?ticket=${text}x`);
  await host.report("{");
  live.close();
  await end(child, "SIGTERM");
  const log = lines.join("\n");
  for (const secret of [host.nodeKey, host.token, text, SECRET, new URL(db.url).password])
    expect(log).not.toContain(secret);
});

test.each([
  ["DATABASE_URL", "mysql://x"],
  ["APP_SECRET", "short"],
  ["PORT", "eighty"],
])("a bad %s is named, and nothing is started", async (name, value) => {
  const env = { PATH: process.env.PATH ?? "", ...environment(db.url), [name]: value };
  await expect(promisify(execFile)(process.execPath, [program], { env })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(name),
  });
});
