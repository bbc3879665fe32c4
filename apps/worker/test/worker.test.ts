import { randomBytes } from "node:crypto";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { type DeliveryOf, type Receiver, startReceiver } from "@flowtriq/fakes/receiver";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { type Built, buildWorker, SECRET, startProcess, type WorkerProcess } from "./process.ts";
import { aWorld, type World } from "./world.ts";

const measured = {
  attack: "atk_0123456789abcdef",
  vector: "udp_flood" as const,
  confidence: 0.5,
  lane: "udp:51820:malformed" as const,
  port: 51820,
  transport: "udp" as const,
  pps: 212_000,
  bps: 1.4e9,
  thresholdPps: 5_000,
  passedPps: 0,
  tunnels: 42,
};
const started: AgentEventOf<"attack.started"> = {
  ...measured,
  id: "evt_0000000001",
  at: "2026-01-02T03:04:05.010Z",
  event: "attack.started",
  firstPacketAt: "2026-01-02T03:04:05.000Z",
  trippedAt: "2026-01-02T03:04:05.004Z",
  tunnelsBefore: 42,
};
const applied: AgentEventOf<"mitigation.applied"> = {
  id: "evt_0000000002",
  at: "2026-01-02T03:04:05.014Z",
  event: "mitigation.applied",
  attack: measured.attack,
  mode: "enforce",
  dryRun: false,
  mitigations: [{ id: "mit_1", lane: measured.lane, words: "Drop what fits no message", rules: ["drop"] }],
};
const classified: AgentEventOf<"attack.classified"> = {
  ...measured,
  id: "evt_0000000003",
  at: "2026-01-02T03:04:05.200Z",
  event: "attack.classified",
  vector: "dns_amplification",
  confidence: 0.97,
  evidence: ["source port 53"],
  profile: {
    samples: 100,
    sources: [],
    distinctSources: 900,
    sourcePorts: [{ key: "53", share: 1 }],
    destinationPorts: [],
    lengths: [],
    ttls: [],
    spoofed: "unknown",
  },
};
const ended: AgentEventOf<"attack.ended"> = {
  ...measured,
  id: "evt_0000000004",
  at: "2026-01-02T03:05:17.010Z",
  event: "attack.ended",
  vector: "dns_amplification",
  confidence: 0.97,
  pps: 0,
  bps: 0,
  tunnels: 41,
  startedAt: started.at,
  lastSeenAt: "2026-01-02T03:04:57.010Z",
  peakPps: 250_000,
  peakBps: 1.6e9,
  packets: 10_000_000,
  droppedPackets: 9_999_990,
  passedPackets: 10,
  tunnelsBefore: 42,
  tunnelsLowest: 41,
  tunnelsAfter: 41,
  usersDisconnected: 1,
};

let built: Built;
let db: TestDatabase;
let prefix: string;
let receiver: Receiver;
let world: World;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  built = await buildWorker();
  db = await freshDatabase();
});
afterAll(async () => {
  await db?.drop();
  await built?.remove();
});
beforeEach(async () => {
  // What an earlier test left unfinished on purpose is not this one's.
  await db.raw.system`delete from outbox`;
  prefix = `test-${randomBytes(6).toString("hex")}`;
  receiver = await startReceiver();
  world = await aWorld(db);
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.end("SIGKILL")));
  await receiver.stop();
});

async function start(env: Record<string, string> = {}): Promise<WorkerProcess> {
  const worker = await startProcess(built, {
    DATABASE_URL: db.url,
    REDIS_URL: inject("redisUrl"),
    WEB_URL: "https://dashboard.example",
    QUEUE_PREFIX: prefix,
    ...env,
  });
  workers.push(worker);
  return worker;
}

const deliveriesOf = (incidentId: string) => db.raw.system`
  select id, status, attempts, response, latency_ms,
    (extract(epoch from delivered_at - created_at) * 1000)::int as took_ms from alert_delivery
  where incident_id = ${incidentId}`;
const toldOf = (incidentId: string) => db.raw.system`
  select actor, kind, text from incident_event where incident_id = ${incidentId}`;
const incidentIn = (delivery: DeliveryOf<"webhook">) =>
  (delivery.payload as { data: { incident: { id: string } } }).data.incident.id;

describe("an incident", () => {
  test("of a node that has sent no second yet tells of the tunnels that its first event counted", async () => {
    const fresh = await aWorld(db, null);
    await fresh.channel("slack", receiver);
    await start();
    await fresh.report(started, applied);
    const { message } = await receiver.next({ kind: "slack" });
    expect(message.text).toContain("tunnels up 42 of 42, 0 disconnected");
  });

  test("reaches each channel once, with a link, and the timeline says so", async () => {
    await world.channel("slack", receiver);
    await world.channel("webhook", receiver);
    await start();
    const id = await world.incident();

    const [slack, webhook] = await Promise.all([receiver.next({ kind: "slack" }), receiver.next({ kind: "webhook" })]);
    expect(slack.message.text).toBe(
      "fra-01: UDP flood on udp/51820, 0 pps, mitigation on its way, tunnels up 42 of 42, 0 disconnected",
    );
    expect(webhook.payload).toMatchObject({
      type: "incident.opened",
      data: {
        incident: { id, url: expect.stringMatching(new RegExp(`^https://dashboard\\.example/.+/incidents/${id}$`)) },
      },
    });

    await world.settled();
    const rows = await deliveriesOf(id);
    expect(rows.map(({ status, attempts }) => [status, attempts])).toEqual([
      ["delivered", 1],
      ["delivered", 1],
    ]);
    expect(rows.map((row) => row.id)).toContain(webhook.id);
    for (const { latency_ms, took_ms } of rows) expect(latency_ms).toBe(took_ms);
    expect((await toldOf(id)).map(({ actor, kind }) => [actor, kind])).toEqual([
      ["alerts", "alert.delivered"],
      ["alerts", "alert.delivered"],
    ]);
    expect(receiver.deliveries).toHaveLength(2);
  });

  test("is told as the node told it: opened, classified, over", async () => {
    await world.channel("slack", receiver);
    await start();
    await world.report(started, applied);
    const opened = await receiver.next({ kind: "slack" });
    expect(opened.message.text).toBe(
      "fra-01: UDP flood on udp/51820, 212 kpps, mitigated in 14 ms, tunnels up 42 of 42, 0 disconnected",
    );
    await world.report(classified);
    const known = await receiver.next({ kind: "slack" });
    expect(known.message.text).toBe(
      "fra-01: classified as DNS amplification on udp/51820 (97 %), 212 kpps, mitigated in 14 ms, tunnels up 42 of 42, 0 disconnected",
    );
    await world.report(ended);
    const over = await receiver.next({ kind: "slack" });
    expect(over.message.text).toBe(
      "fra-01: DNS amplification on udp/51820 over after 1 min 12 s, peak 250 kpps, mitigated in 14 ms, tunnels up 41 of 42, 1 disconnected",
    );
    // What a node repeats is told once.
    await world.report(started, applied, classified, ended);
    await world.settled();
    expect(receiver.deliveries).toHaveLength(3);
  });

  test("carries the workspace's brand", async () => {
    await world.channel("webhook", receiver);
    await db.raw.system`
      insert into brand (id, workspace_id, name, agent_name, support_email)
      values (${`brd_${world.workspaceId}`}, ${world.workspaceId}, 'Quiet Tunnels', 'qt', 'help@quiet.example')`;
    await db.raw.system`update workspace set brand_id = ${`brd_${world.workspaceId}`} where id = ${world.workspaceId}`;
    await start();
    await world.incident();
    expect(await receiver.next({ kind: "webhook" })).toMatchObject({ payload: { data: { brand: "Quiet Tunnels" } } });
  });

  test("that was asked for while no worker ran is delivered when one starts", async () => {
    await world.channel("webhook", receiver);
    const id = await world.incident();
    await start();
    expect(incidentIn(await receiver.next({ kind: "webhook" }))).toBe(id);
  });

  test("is delivered once by three workers", async () => {
    await world.channel("webhook", receiver);
    await Promise.all([start(), start(), start()]);
    const ids = await Promise.all(Array.from({ length: 60 }, () => world.incident()));
    await world.settled();
    const received = receiver.deliveries.map((delivery) => incidentIn(delivery as DeliveryOf<"webhook">));
    expect(received.sort()).toEqual(ids.sort());
  });

  test("that is asked for again, or whose job runs again, is not delivered again", async () => {
    const channelId = await world.channel("webhook", receiver);
    await start();
    const id = await world.incident();
    await world.settled();
    await world.ask(id, "opened");
    await db.raw.system`
      insert into outbox (id, workspace_id, job, payload)
      values ('job_again', ${world.workspaceId}, 'alert.send', ${JSON.stringify({ incidentId: id, channelId, transition: "opened" })})`;
    await world.ask(id, "ended");
    await world.settled();
    expect(receiver.deliveries.map((delivery) => (delivery as DeliveryOf<"webhook">).payload)).toMatchObject([
      { type: "incident.opened" },
      { type: "incident.ended" },
    ]);
  });

  test("of one workspace reaches no channel of another", async () => {
    const other = await aWorld(db);
    await other.channel("webhook", receiver);
    await world.channel("slack", receiver);
    await start();
    await world.incident();
    await world.settled();
    expect(receiver.deliveries.map(({ kind }) => kind)).toEqual(["slack"]);
  });
});

describe("a receiver", () => {
  test("that fails twice is tried again until it takes the message, under the same id", async () => {
    await world.channel("webhook", receiver);
    receiver.misbehave("webhook", 1, { do: "answer", status: 503 });
    receiver.misbehave("webhook", 1, { do: "hang up" });
    await start();
    const id = await world.incident();
    const delivery = await receiver.next({ kind: "webhook" });
    await world.settled();
    expect(receiver.refusals.map((refusal) => refusal.id)).toEqual([delivery.id, delivery.id]);
    expect(await deliveriesOf(id)).toMatchObject([{ status: "delivered", attempts: 3 }]);
  });

  test("that takes the message and hangs up gets it again under the same id", async () => {
    await world.channel("webhook", receiver);
    receiver.misbehave("webhook", 1, { do: "take and hang up" });
    await start();
    await world.incident();
    const first = await receiver.next({ kind: "webhook" });
    const second = await receiver.next({ kind: "webhook" });
    expect(second.id).toBe(first.id);
  });

  test("that asks for two seconds gets them", async () => {
    await world.channel("webhook", receiver);
    receiver.misbehave("webhook", 1, { do: "answer", status: 429, headers: { "retry-after": "2" } });
    await start();
    await world.incident();
    const { receivedAt } = await receiver.next({ kind: "webhook" });
    expect(receivedAt.getTime() - receiver.refusals[0]!.receivedAt.getTime()).toBeGreaterThanOrEqual(2_000);
  });

  test("that refuses is not tried again, and the incident says why", async () => {
    await world.channel("slack", receiver, `${receiver.url}/services/gone`);
    await start();
    const id = await world.incident();
    await world.settled();
    expect(await deliveriesOf(id)).toMatchObject([
      { status: "failed", attempts: 1, response: "answered 404: no_service" },
    ]);
    expect(receiver.refusals).toHaveLength(1);
    expect(await toldOf(id)).toMatchObject([
      { kind: "alert.failed", text: "NOC slack could not be told: answered 404: no_service" },
    ]);
  });

  test("that never answers holds up no other", async () => {
    const stuck = await startReceiver();
    try {
      stuck.misbehave("webhook", 1_000, { do: "delay", ms: 60_000 });
      await world.channel("webhook", stuck);
      await world.channel("slack", receiver);
      // Fewer places than stuck alerts: they would fill the worker if they could.
      await start({ WORKER_CONCURRENCY: "12" });
      for (let n = 0; n < 40; n++) await world.incident();
      for (let n = 0; n < 40; n++) await receiver.next({ kind: "slack" });
      expect(stuck.deliveries).toHaveLength(0);
    } finally {
      await stuck.stop();
    }
  });

  test("on an internal address is not connected to", async () => {
    await world.channel("webhook", receiver);
    await start({ ALERTS_ALLOW_LOOPBACK: "false" });
    const id = await world.incident();
    await world.settled();
    expect(await deliveriesOf(id)).toMatchObject([{ status: "failed" }]);
    expect(receiver.connections()).toBe(0);
  });
});

describe("a channel", () => {
  test("that is switched off after the incident is not told", async () => {
    const channelId = await world.channel("webhook", receiver);
    receiver.misbehave("webhook", 1, { do: "answer", status: 503 });
    await start();
    const id = await world.incident();
    while (receiver.refusals.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await db.raw.system`update channel set enabled = false where id = ${channelId}`;
    await world.settled();
    expect(await deliveriesOf(id)).toMatchObject([{ status: "failed", response: "the channel is switched off" }]);
    expect(receiver.deliveries).toHaveLength(0);
  });

  test("whose settings do not open is tried again and not dropped", async () => {
    const channelId = await world.channel("webhook", receiver);
    const [sealed] = await db.raw.system`select settings from channel where id = ${channelId}`;
    await db.raw.system`update channel set settings = 'v1.AAAA' where id = ${channelId}`;
    const worker = await start();
    await world.incident();
    while (!worker.lines.some((line) => line.includes("job failed"))) await new Promise((r) => setTimeout(r, 5));
    await db.raw.system`update channel set settings = ${sealed?.settings} where id = ${channelId}`;
    await receiver.next({ kind: "webhook" });
  });
});

describe("a test message", () => {
  const auditOf = () => db.raw.system`
    select action, detail from audit_log where workspace_id = ${world.workspaceId} order by seq`;

  test("is sent once, and the audit log says that it arrived", async () => {
    const channelId = await world.channel("slack", receiver);
    await start();
    await world.test(channelId);
    await world.settled();
    expect(receiver.deliveries).toMatchObject([
      { message: { text: "Test message: alerts reach NOC slack. Nothing is under attack." } },
    ]);
    expect(await auditOf()).toMatchObject([{ action: "channel.test_delivered" }]);
  });

  test("that is not taken is not repeated, and the audit log says why", async () => {
    const channelId = await world.channel("slack", receiver);
    receiver.misbehave("slack", 1, { do: "answer", status: 500, body: "rollup_error" });
    await start();
    await world.test(channelId);
    await world.settled();
    expect(receiver.deliveries).toHaveLength(0);
    expect(await auditOf()).toMatchObject([
      { action: "channel.test_failed", detail: { reason: "answered 500: rollup_error" } },
    ]);
  });
});

describe("the process", () => {
  test("ends on SIGTERM after the message under way has been taken and recorded", async () => {
    await world.channel("webhook", receiver);
    receiver.misbehave("webhook", 1, { do: "delay", ms: 1_000 });
    const worker = await start();
    const id = await world.incident();
    while (receiver.connections() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await worker.end("SIGTERM")).toBe(0);
    expect(await deliveriesOf(id)).toMatchObject([{ status: "delivered" }]);
  });

  test("says that it is well, and answers nothing else", async () => {
    const worker = await start();
    const health = await fetch(`${worker.url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { postgres: true, redis: true }]);
    expect((await fetch(`${worker.url}/`)).status).toBe(404);
  });

  test("logs no secret", async () => {
    await world.channel("webhook", receiver);
    await world.channel("slack", receiver);
    receiver.misbehave("slack", 1, { do: "hang up" });
    const worker = await start({ LOG_LEVEL: "trace" });
    await world.incident();
    await world.settled();
    await worker.end();
    const log = worker.lines.join("\n");
    expect(log).toContain("worker ready");
    const passwords = [db.url, inject("redisUrl")].map((url) => new URL(url).password).filter(Boolean);
    for (const secret of [SECRET, receiver.webhookSecret, new URL(receiver.slackUrl).pathname, ...passwords])
      expect(log).not.toContain(secret);
  });

  test("names every variable that is missing, and ends", async () => {
    await expect(startProcess(built, { DATABASE_URL: "mysql://x", APP_SECRET: "short" })).rejects.toThrow(
      /DATABASE_URL.*\n.*REDIS_URL.*\n.*APP_SECRET: at least 32.*\n.*WEB_URL/,
    );
  });
});
