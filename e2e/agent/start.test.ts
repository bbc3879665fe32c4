import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { namespaces, uniquePrefix } from "@flowtriq/lab/namespaces";
import { bearableLoss, processorTimes } from "@flowtriq/lab/stolen";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "../../infra/local/services.mjs";

const ANY_PORT = { WEB_PORT: "0", INGEST_PORT: "0", WORKER_PORT: "0", RECEIVER_PORT: "0" };
let dir: string;
let start: ChildProcess | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "start-"));
});
afterEach(async () => {
  if (start && start.exitCode === null) {
    start.kill("SIGTERM");
    await once(start, "exit");
  }
  rmSync(dir, { recursive: true, force: true });
});

/** Starts the product on data of its own; `said` resolves with the first line that matches. */
function run(lab: string) {
  const child = spawn(process.execPath, ["infra/local/start.mjs"], {
    cwd: ROOT,
    env: { ...process.env, ...ANY_PORT, DATA_DIR: dir, DEMO_LAB: lab, DATABASE_URL: "", REDIS_URL: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  start = child;
  const lines: string[] = [];
  const waiting: { pattern: RegExp; take: (line: string) => void }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    for (const { pattern, take } of waiting) if (pattern.test(line)) take(line);
  });
  const said = (pattern: RegExp) =>
    new Promise<string>((take, fail) => {
      const known = lines.find((line) => pattern.test(line));
      if (known) take(known);
      waiting.push({ pattern, take });
      child.once("exit", (code) => fail(new Error(`ended with ${code} before ${pattern}:\n${lines.join("\n")}`)));
    });
  return { child, lines, said };
}

/** Processes that were given this folder or lab, by their command lines. */
const processesOf = (mark: string) =>
  readdirSync("/proc").flatMap((pid) => {
    try {
      const command = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") : "";
      return command.includes(mark) ? [command] : [];
    } catch {
      return [];
    }
  });

test("the demonstration loses no tunnel, tells what happened in order, and Ctrl-C leaves nothing", async () => {
  const times = processorTimes();
  const lab = uniquePrefix("st");
  const { child, lines, said } = run(lab);
  const page = await fetch((await said(/http:\/\/localhost:\d+/)).trim().split(/\s/)[0]!);
  expect(page.status).toBe(200);
  const verdict = await said(/users disconnected/);
  const [, lost, sent] =
    /users disconnected: 0 .*lowest 2, after 2; (\d+) of (\d+) pings/.exec(verdict)?.map(Number) ?? [];
  expect(lost, verdict).toBeLessThanOrEqual(bearableLoss(sent!, times));
  const order = ["first attack packet", "incident opened", "rules active", "last attack packet", "rules withdrawn"];
  const places = order.map((words) => lines.findIndex((line) => line.includes(`ms  ${words}`)));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(Math.min(...places)).toBeGreaterThan(0);
  expect(lines.some((line) => line.includes("classified: udp_flood"))).toBe(true);
  expect(lines.some((line) => line.includes("alert delivered (signed webhook)"))).toBe(true);

  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect((await namespaces()).filter((name) => name.startsWith(lab))).toEqual([]);
  expect([...processesOf(dir), ...processesOf(`${lab}-`)]).toEqual([]);
});

test("after kill -9 everything ends, and the next start keeps the data and sweeps the rest", async () => {
  const lab = uniquePrefix("st");
  const first = run(lab);
  await first.said(/first attack packet/);
  const killed = once(first.child, "exit");
  first.child.kill("SIGKILL");
  await killed;

  const second = run(lab);
  const page = (await second.said(/http:\/\/localhost:\d+/)).trim().split(/\s/)[0]!;
  expect((await fetch(page)).status).toBe(200);
  await second.said(/first attack packet/);
  second.child.kill("SIGTERM");
  expect(await once(second.child, "exit")).toEqual([0, null]);
  expect((await namespaces()).filter((name) => name.startsWith(lab))).toEqual([]);
  expect([...processesOf(dir), ...processesOf(`${lab}-`)]).toEqual([]);
});
