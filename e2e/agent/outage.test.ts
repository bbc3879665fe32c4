import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { Link } from "@flowtriq/lab/link";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, type Topology } from "@flowtriq/lab/namespaces";
import { startWireguard } from "@flowtriq/lab/wireguard";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Stack, startStack } from "../../infra/local/stack.mjs";
import { MINIMAL, type RunningAgent, startAgent } from "./agent.ts";

const isRoot = process.getuid?.() === 0;

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("with the service out of reach during the attack", () => {
  let stack: Stack;
  let lab: Topology;
  let agent: RunningAgent | undefined;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outage-"));

  beforeAll(async () => {
    fs.chmodSync(dir, 0o755);
    stack = await startStack({ dir, ports: { web: 0, ingest: 0, worker: 0, receiver: 0 }, demo: true });
    lab = await createTopology({ clients: 1, management: true });
  });
  afterAll(async () => {
    await agent?.end("SIGKILL");
    await lab?.destroy();
    await stack?.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  test("the node behaves the same, and every event arrives once when the service is back", async () => {
    await startWireguard(lab);
    const link = await Link.open(stack.ingestUrl, lab.management!.host);
    agent = await startAgent(lab, {
      ...MINIMAL,
      service: { url: link.url, token: stack.demo!.enrolmentToken },
    });
    await agent.waitFor("policy.applied");
    const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
    await link.cut();

    const meter = await startMeter(lab);
    const attack = await flood(lab, { attack: "udp_random", pps: 100_000, seconds: 3, port: 51820 });
    const started = await agent.waitFor("attack.started");
    const { sent } = await attack.result;
    expect((await meter.read()).passed.packets / sent).toBeLessThan(0.03);
    await meter.stop();
    const ended = await agent.waitFor("attack.ended", undefined, 40_000);
    expect(await sql`select id from incident`).toHaveLength(0);

    await link.mend();
    const deadline = Date.now() + 40_000;
    let row: Record<string, unknown> | undefined;
    while (row?.status !== "ended" && Date.now() < deadline) {
      await delay(100);
      [row] = await sql`select id, status, packets, dropped_packets from incident`;
    }
    expect(row).toMatchObject({ id: started.attack, status: "ended" });
    expect(Number(row?.packets)).toBe(ended.packets);
    const kinds =
      await sql`select kind, count(*)::int as times from incident_event where actor in ('agent', 'kernel') group by kind`;
    expect(kinds.length).toBeGreaterThan(3);
    for (const { kind, times } of kinds) expect([kind, times]).toEqual([kind, 1]);
    await sql.end();
    // Nothing is left to report, so nothing will be reported twice.
    await expect.poll(() => fs.statSync(`${agent!.stateDir}/events.spool`).size).toBe(0);
  });
});
