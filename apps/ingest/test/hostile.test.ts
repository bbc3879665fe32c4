import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { useDatabase, withSystem } from "@flowtriq/db/client";
import { aMember, aWorkspace } from "@flowtriq/db/factories";
import { auditLog, incident, incidentEvent, node, nodeEvent, nodeSecond, outbox } from "@flowtriq/db/schema";
import { AGENT_PATHS } from "@flowtriq/protocol/wire";
import { type Context, systemContext } from "@flowtriq/services/context";
import { anAttack, anObservation, aReport } from "@flowtriq/services/factories";
import { get as getIncident } from "@flowtriq/services/incident";
import { ticket } from "@flowtriq/services/live";
import { createEnrolmentToken } from "@flowtriq/services/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Door, enrolled, enrollment, openDoor, post } from "./door.ts";

let door: Door;
let host: Awaited<ReturnType<typeof enrolled>>;
beforeAll(async () => {
  door = await openDoor();
  host = await enrolled(door);
});
afterAll(() => door.stop());

/** Rows of every table that an agent can write. */
const stored = () =>
  withSystem(async (tx) => {
    const tables = [incident, incidentEvent, nodeSecond, nodeEvent, outbox, node, auditLog];
    return Promise.all(tables.map((table) => tx.$count(table)));
  });

async function problem(answer: Response, status: number) {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
  const body = (await answer.json()) as { status: number; code: string; detail: string };
  expect(body).toMatchObject({ type: "about:blank", status, code: expect.any(String), detail: expect.any(String) });
  return body;
}

const valid = () => aReport({ events: [anAttack().started], observations: [anObservation(new Date())] });

describe("who may not come in", () => {
  test.each([
    ["no key", undefined],
    ["a made-up key", `key_${"A".repeat(43)}`],
    ["an enrolment token", "ent_0123456789012345678901234567890123456789012"],
    ["a key with a space", "key_ 0123456789012345678901234567890123456789"],
    ["SQL", "x' or '1'='1-----------------------"],
  ])("%s is a 401 problem and stores nothing", async (_name, key) => {
    const before = await stored();
    await problem(await post(door.url, AGENT_PATHS.report, valid(), key), 401);
    const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
    await problem(await fetch(door.url + AGENT_PATHS.policyStream, { headers }), 401);
    expect(await stored()).toEqual(before);
  });

  test("a token that is unknown, spent or expired is the same 401", async () => {
    const { id } = await aWorkspace();
    const spent = await createEnrolmentToken(systemContext(id), { uses: 1 });
    expect((await post(door.url, AGENT_PATHS.enroll, enrollment(spent.token))).status).toBe(200);
    const old = await createEnrolmentToken(systemContext(id, new Date(Date.now() - 120_000)), { expiresInSeconds: 60 });
    const before = await stored();
    const answers = [`ent_${randomUUID()}`, spent.token, old.token].map(async (token) =>
      problem(await post(door.url, AGENT_PATHS.enroll, enrollment(token)), 401),
    );
    const [first, ...others] = await Promise.all(answers);
    for (const other of others) expect(other).toEqual(first);
    expect(await stored()).toEqual(before);
  });

  test("one use is one node, also for machines that come at the same moment", async () => {
    const { id } = await aWorkspace();
    const { token } = await createEnrolmentToken(systemContext(id), { uses: 1 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(door.url, AGENT_PATHS.enroll, enrollment(token))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(401)]);
  });

  test("the same machine at the same moment is one node", async () => {
    const { id } = await aWorkspace();
    const { token } = await createEnrolmentToken(systemContext(id), {});
    const body = enrollment(token);
    const answers = await Promise.all(Array.from({ length: 6 }, () => post(door.url, AGENT_PATHS.enroll, body)));
    const nodes = await Promise.all(
      answers.map(async (answer) => ((await answer.json()) as { nodeId: string }).nodeId),
    );
    expect(new Set(nodes).size).toBe(1);
  });

  test.each([
    ["no ticket", async () => undefined],
    ["nonsense", async () => "abc.def.ghi"],
    ["a ticket that is too old", () => ticket(systemContext(host.workspaceId, new Date(Date.now() - 61_000)))],
    [
      "an unsigned ticket",
      async () => {
        const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
        const exp = Math.floor(Date.now() / 1000) + 60;
        return `${part({ alg: "none" })}.${part({ wsp: host.workspaceId, sub: "x", aud: "live", exp })}.`;
      },
    ],
    [
      "a ticket whose workspace was changed",
      async () => {
        const [head, body, signature] = (await ticket(systemContext("wsp_other"))).split(".");
        const claims = JSON.parse(Buffer.from(body!, "base64url").toString()) as object;
        const changed = Buffer.from(JSON.stringify({ ...claims, wsp: host.workspaceId })).toString("base64url");
        return `${head}.${changed}.${signature}`;
      },
    ],
  ])("the live stream is closed to %s", async (_name, make) => {
    const text = await make();
    await problem(await fetch(`${door.url}/live${text ? `?ticket=${text}` : ""}`), 401);
  });

  test("too many attempts are turned away before any look-up, with a time to come back", async () => {
    const strict = await openDoor({ ATTEMPTS_PER_MINUTE: "5" });
    try {
      const statuses: number[] = [];
      for (let i = 0; i < 7; i++)
        statuses.push((await post(strict.url, AGENT_PATHS.report, {}, `key_${"B".repeat(40)}`)).status);
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
      const answer = await post(strict.url, AGENT_PATHS.enroll, enrollment("ent_aaaaaaaaaaaaaaaaaaaa"));
      expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
      await problem(answer, 429);
    } finally {
      await strict.stop();
      useDatabase(door.db);
    }
  });
});

describe("what may not come in", () => {
  const event = () => anAttack().started;
  const bodies: [string, () => unknown][] = [
    ["nothing", () => ""],
    ["no JSON", () => "{"],
    ["a list", () => []],
    ["null", () => "null"],
    ["a report without events", () => ({ ...valid(), events: undefined })],
    ["an unknown field", () => ({ ...valid(), more: 1 })],
    ["an event that is of no kind at all", () => ({ ...valid(), events: [{ ...event(), event: "imagined" }] })],
    [
      "an attack id of another shape",
      () => ({ ...valid(), events: [{ ...event(), attack: "atk_'; drop table incident" }] }),
    ],
    ["a vector nobody knows", () => ({ ...valid(), events: [{ ...event(), vector: "zero_day" }] })],
    ["a negative rate", () => ({ ...valid(), events: [{ ...event(), pps: -1 }] })],
    [
      "a rate that is no number",
      () => JSON.stringify({ ...valid(), events: [{ ...event(), pps: 0 }] }).replace('"pps":0', '"pps":1e999'),
    ],
    ["a moment that is none", () => ({ ...valid(), events: [{ ...event(), at: "2026-02-30T00:00:00.000Z" }] })],
    ["more events than allowed", () => ({ ...valid(), events: Array.from({ length: 201 }, event) })],
    [
      "more seconds than allowed",
      () => ({ ...valid(), observations: Array.from({ length: 121 }, () => anObservation(new Date())) }),
    ],
    ["a NUL in a text", () => ({ ...valid(), policyError: "a\u0000b" })],
    ["half of a surrogate pair", () => JSON.stringify({ ...valid(), policyError: "x" }).replace('"x"', '"\\ud800"')],
    ["a polluted prototype", () => JSON.stringify(valid()).replace("{", '{"__proto__":{"a":1},')],
  ];

  test.each(bodies)("%s is a 400 problem and stores nothing, not even the good part", async (_name, make) => {
    const before = await stored();
    const body = make();
    await problem(await host.report(typeof body === "string" ? body : JSON.stringify(body)), 400);
    expect(await stored()).toEqual(before);
  });

  test("another content type is refused", async () => {
    const headers = { authorization: `Bearer ${host.nodeKey}`, "content-type": "text/plain" };
    await problem(await fetch(door.url + AGENT_PATHS.report, { method: "POST", headers, body: "{}" }), 415);
  });

  test("a body that is too large is refused before it is read", async () => {
    const before = await stored();
    await problem(await post(door.url, AGENT_PATHS.enroll, { token: "x".repeat(40_000) }), 413);
    await problem(await host.report(JSON.stringify({ ...valid(), policyError: "x".repeat(4_100_000) })), 413);
    expect(await stored()).toEqual(before);
  });

  test("an unauthenticated body is not waited for", async () => {
    const { hostname, port } = new URL(door.url);
    const socket = connect(Number(port), hostname);
    const head = `POST ${AGENT_PATHS.report} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n`;
    const answer = await new Promise<string>((done, fail) => {
      socket.on("error", fail);
      socket.once("data", (chunk) => done(chunk.toString()));
      socket.write(head);
    });
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });

  test.each(["/", "/agent/v1/nothing", "/agent/v1/report", "/live/../healthz%00"])(
    "GET %s is a 404 problem",
    async (path) => {
      await problem(await fetch(door.url + path), 404);
    },
  );
});

describe("a node gone wrong", () => {
  test("absurd but well-formed figures and moments are stored, clipped", async () => {
    const { attack, started, ended } = anAttack();
    const wild = {
      ...started,
      at: "0000-01-01T00:00:00.000Z",
      firstPacketAt: "9999-12-31T23:59:59.999Z",
      pps: Number.MAX_VALUE,
      bps: Number.MIN_VALUE,
      tunnelsBefore: Number.MAX_SAFE_INTEGER,
    };
    const observation = anObservation(new Date("9999-12-31T23:59:59.999Z"), {
      pps: Number.MAX_VALUE,
      tunnels: 2 ** 52,
    });
    const report = aReport({ appliedRevision: 2 ** 52, events: [wild, ended], observations: [observation] });
    expect((await host.report(report)).status).toBe(200);
    expect((await host.report(aReport({ observations: [observation], appliedRevision: 2 ** 52 }))).status).toBe(200);
    const viewer = await aMember(host.workspaceId, "viewer");
    const actor: Context["actor"] = { kind: "user", userId: viewer.id, role: "viewer" };
    const found = await getIncident({ workspaceId: host.workspaceId, actor, now: new Date() }, { incidentId: attack });
    expect(found).toMatchObject({ status: "ended", tunnelsBefore: 2_147_483_647 });
  });

  test("an event without end does not fill the disk, and the end is still heard", async () => {
    const { attack, started, classified, ended } = anAttack();
    const repeated = (from: number) =>
      Array.from({ length: 200 }, (_, i) => ({ ...classified, id: `evt_again${String(from + i).padStart(8, "0")}` }));
    await host.report(aReport({ events: [started] }));
    for (let from = 0; from < 1_000; from += 200) {
      const answer = await host.report(aReport({ events: repeated(from) }));
      expect(((await answer.json()) as { acknowledged: string[] }).acknowledged).toHaveLength(200);
    }
    await host.report(aReport({ events: [ended] }));
    const found = await getIncident(systemContext(host.workspaceId), { incidentId: attack });
    expect(found.status).toBe("ended");
    expect(found.timeline.length).toBeLessThan(800);
  });
});
