import { TooManyRequests } from "@flowtriq/services/errors";
import { anAttack, anObservation, aReport } from "@flowtriq/services/factories";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Limiter } from "../src/limiter.ts";
import { type Door, enrolled, openDoor } from "./door.ts";

let door: Door;
beforeAll(async () => {
  door = await openDoor({ MAX_WAITING_REPORTS: "6" });
});
afterAll(() => door.stop());

test("what cannot be stored now is refused with a time to come back, and what was accepted is stored", async () => {
  const host = await enrolled(door);
  const { owner } = door.db;
  const start = Math.floor(Date.now() / 1000) * 1000;
  const answers: Promise<Response>[] = [];
  let refusal: Response | undefined;
  await owner.begin(async (sql) => {
    await sql`lock table node_second in access exclusive mode`; // the store stands still
    const refused = new Promise<Response>((found) => {
      for (let i = 0; i < 10; i++) {
        const events = i % 2 === 0 ? [] : [anAttack().started];
        const answer = host.report(aReport({ events, observations: [anObservation(new Date(start + i * 1000))] }));
        answers.push(answer);
        void answer.then((response) => response.status === 503 && found(response));
      }
    });
    refusal = await refused;
    expect(refusal.headers.get("content-type")).toContain("application/problem+json");
    expect(Number(refusal.headers.get("retry-after"))).toBeGreaterThan(0);
    // Only reports wait: everything else still answers.
    expect((await fetch(`${door.url}/healthz`)).status).toBe(200);
  });
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 503)).toHaveLength(4);
  expect(statuses.filter((status) => status === 200)).toHaveLength(6);
  expect((await owner`select 1 from node_second where node_id = ${host.nodeId}`).length).toBe(6);
});

test("attempts are counted by address, an IPv6 client by its /64, and come back with time", () => {
  const limiter = new Limiter(2);
  const now = 1_000_000;
  const spend = (address: string, at = now) => {
    limiter.check(address, at);
    limiter.take(address, at);
  };
  for (const [same, other] of [
    ["2001:db8::1", "2001:db8:0:0:ffff::2"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["198.51.100.7", "198.51.100.7"],
  ] as const) {
    spend(same);
    spend(other);
    expect(() => spend(same)).toThrow(TooManyRequests);
    expect(() => spend(other)).toThrow(TooManyRequests);
    spend(same, now + 30_000);
  }
  spend("2001:db8:0:1::1");
  spend("::ffff:192.0.2.2");
});
