import { withSystem, withWorkspace } from "@flowtriq/db/client";
import { aMember, aNode, aWorkspace } from "@flowtriq/db/factories";
import { auditLog, incidentEvent, incident as incidentTable, outbox } from "@flowtriq/db/schema";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { and, eq } from "drizzle-orm";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyChain } from "./audit.ts";
import { type Context, type NodeContext, systemContext } from "./context.ts";
import { anAttack, anObservation, aReport } from "./factories.ts";
import { type AttackEvent, fold } from "./incident/fold.ts";
import { type Impact, severityOf } from "./incident/severity.ts";
import * as incident from "./incident.ts";
import * as node from "./node.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await freshDatabase();
});
afterAll(() => db.drop());

async function aHost() {
  const { id: workspaceId } = await aWorkspace();
  const { id: nodeId } = await aNode(workspaceId);
  const ctx: NodeContext = { workspaceId, actor: { kind: "node", nodeId }, now: new Date() };
  return { workspaceId, nodeId, ctx, system: systemContext(workspaceId) };
}

async function person(workspaceId: string, role: "viewer" | "operator" = "operator"): Promise<Context> {
  const { id } = await aMember(workspaceId, role);
  return { workspaceId, actor: { kind: "user", userId: id, role }, now: new Date() };
}

/** What an attack leaves behind, without the moments at which it was stored. */
async function traces(workspaceId: string, attack: string) {
  return withSystem(async (tx) => {
    const [row] = await tx
      .select()
      .from(incidentTable)
      .where(and(eq(incidentTable.workspaceId, workspaceId), eq(incidentTable.id, attack)));
    const timeline = await tx
      .select()
      .from(incidentEvent)
      .where(and(eq(incidentEvent.workspaceId, workspaceId), eq(incidentEvent.incidentId, attack)));
    const jobs = await tx.select().from(outbox).where(eq(outbox.workspaceId, workspaceId));
    return {
      row: { ...row, workspaceId: null, nodeId: null },
      timeline: timeline
        .map(({ id, kind, at, text }) => (kind === "incident.stored" ? { id } : { id, kind, at, text }))
        .sort((a, b) => (a.id < b.id ? -1 : 1)),
      jobs: jobs.map(({ job, payload }) => `${job} ${payload.transition}`).sort(),
    };
  });
}

describe("what a node reports", () => {
  test("ends in the same incident, timeline and alerts in any order, with repetitions, in any split into reports", async () => {
    const attack = anAttack();
    const orderly = await aHost();
    await node.report(orderly.ctx, aReport({ events: attack.all }));
    const expected = await traces(orderly.workspaceId, attack.attack);
    expect(expected.jobs).toEqual(["alert.deliver classified", "alert.deliver ended", "alert.deliver opened"]);

    const deliveries = fc
      .array(fc.nat({ max: attack.all.length - 1 }), { maxLength: 6 })
      .chain((again) => {
        const events = [...attack.all, ...again.map((index) => attack.all[index]!)];
        return fc.shuffledSubarray(events, { minLength: events.length });
      })
      .chain((events) => fc.tuple(fc.constant(events), fc.array(fc.nat({ max: events.length }), { maxLength: 4 })));
    await fc.assert(
      fc.asyncProperty(deliveries, async ([events, cuts]) => {
        const { ctx, workspaceId } = await aHost();
        const bounds = [0, ...[...cuts].sort((a, b) => a - b), events.length];
        for (let i = 1; i < bounds.length; i++) {
          const part = events.slice(bounds[i - 1], bounds[i]);
          const answer = await node.report(ctx, aReport({ events: part }));
          expect(answer.acknowledged).toEqual(part.map(({ id }) => id));
        }
        expect(await traces(workspaceId, attack.attack)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("is the same when its parts arrive at the same moment", async () => {
    const attack = anAttack();
    const orderly = await aHost();
    await node.report(orderly.ctx, aReport({ events: attack.all }));
    const expected = await traces(orderly.workspaceId, attack.attack);
    for (let round = 0; round < 5; round++) {
      const { ctx, workspaceId } = await aHost();
      const parts = [...attack.all, ...attack.all].map((event) => node.report(ctx, aReport({ events: [event] })));
      await Promise.all(parts);
      expect(await traces(workspaceId, attack.attack)).toEqual(expected);
      expect(await withWorkspace(workspaceId, (tx) => verifyChain(tx, workspaceId))).toMatchObject({ intact: true });
    }
  });

  test("is in the detail: figures, moments, rules with hits, a timeline by time", async () => {
    const { ctx, system, nodeId } = await aHost();
    const attack = anAttack();
    await node.report(ctx, aReport({ events: attack.all }));
    const found = await incident.get(system, { incidentId: attack.attack });
    expect(found).toMatchObject({
      ...{ nodeId, nodeName: "fra-01", status: "ended", vector: "udp_flood", severity: "medium", port: 51820 },
      ...{ transport: "udp", mode: "enforce", peakPps: 312_000, thresholdPps: 2_000, timeToFirstDropMs: 9 },
      ...{
        droppedPackets: 8_000_000,
        passedPackets: 1_000,
        tunnelsBefore: 42,
        tunnelsLowest: 42,
        usersDisconnected: 0,
      },
      evidence: ["No packet has a WireGuard type."],
      rules: [{ id: "mit_1", dryRun: false, hits: { packets: 8_000_000, bytes: 512_000_000 } }],
      deliveries: [],
    });
    expect(found.confidence).toBeCloseTo(0.99, 5);
    expect(found.timeline.map(({ kind }) => kind)).toEqual([
      "packet.first",
      "rate.tripped",
      "attack.started",
      "mitigation.applied",
      "attack.classified",
      "mitigation.removed",
      "attack.ended",
      "capture.written",
      "incident.stored",
    ]);
    const texts = found.timeline.map(({ text }) => text);
    expect(texts).toContain("UDP flood on udp/51820: 212 kpps, threshold 2 kpps");
    // Counted before and after the drop.
    expect(texts).toContain("Classified as UDP flood on udp/51820, confidence 97 %; 90 pps of 300 kpps get through");
    expect(texts.some((text) => text.endsWith("; 1,000 of 8,001,000 packets got through"))).toBe(true);
  });

  test.each([
    [{}, "Capture kept: 1,234 packets from 12.3 s before the attack"],
    [{ packets: 1, secondsBefore: null, complete: false }, "Capture kept: 1 packet (incomplete)"],
  ])("its capture is in the timeline with its file: %j", async (values, text) => {
    const { ctx, system } = await aHost();
    const { attack, started, captured } = anAttack();
    await node.report(ctx, aReport({ events: [started, { ...captured, ...values } as AttackEvent] }));
    const { timeline } = await incident.get(system, { incidentId: attack });
    expect(timeline.find(({ kind }) => kind === "capture.written")).toMatchObject({
      ...{ actor: "agent", text, data: { file: `${attack}.pcap`, bytes: 90_000 } },
    });
  });

  test("handshakes before and during it are in the timeline where they were counted", async () => {
    const { ctx, system } = await aHost();
    const { attack, started, ended } = anAttack();
    const counted = { ...ended, handshakesBefore: 3.25, handshakesDuring: 0.5 } as AttackEvent;
    await node.report(ctx, aReport({ events: [started, counted] }));
    const { timeline } = await incident.get(system, { incidentId: attack });
    const { text } = timeline.find(({ kind }) => kind === "attack.ended")!;
    expect(text).toMatch(/; 3\.3 handshakes a second finished before, 0\.5 during$/);
  });

  test("in observe mode nothing was dropped, and no time is made up", async () => {
    const { ctx, system } = await aHost();
    const { attack, started, applied } = anAttack();
    const dry = { ...applied, dryRun: true, mode: "observe" } as AttackEvent;
    await node.report(ctx, aReport({ events: [started, dry] }));
    expect(await incident.get(system, { incidentId: attack })).toMatchObject({
      ...{ mode: "observe", rulesAt: null, timeToFirstDropMs: null, usersDisconnected: null, status: "open" },
    });
  });

  test("unknown stays unknown: no tunnels counted is null, not zero", () => {
    const { started, ended } = anAttack();
    const blind = {
      tunnels: null,
      tunnelsBefore: null,
      tunnelsLowest: null,
      tunnelsAfter: null,
      usersDisconnected: null,
    };
    const events = [
      { ...started, tunnels: null, tunnelsBefore: null },
      { ...ended, ...blind },
    ] as AttackEvent[];
    expect(fold(events)).toMatchObject({
      tunnelsBefore: null,
      tunnelsLowest: null,
      tunnelsAfter: null,
      usersDisconnected: null,
    });
  });
});

describe("severity", () => {
  const impact: Impact = {
    ...{ vector: "udp_flood", peakPps: 50_000, packets: 1e7, passedPackets: 100 },
    ...{ tunnelsBefore: 100, tunnelsLowest: 100, usersDisconnected: 0 },
  };
  test.each<[string, Partial<Impact>, string]>([
    ["small and harmless", {}, "low"],
    ["a large flood that was dropped", { peakPps: 300_000 }, "medium"],
    ["an enormous one", { peakPps: 1_500_000 }, "high"],
    ["one tunnel missing for a moment", { tunnelsLowest: 99 }, "medium"],
    ["a tenth of the tunnels missing", { tunnelsLowest: 90 }, "high"],
    ["one person cut off", { usersDisconnected: 1 }, "high"],
    ["a large part that got through", { passedPackets: 2e6 }, "high"],
    ["a reconnect storm", { vector: "reconnect_storm", peakPps: 2e6, tunnelsLowest: 0 }, "low"],
    ["nothing known of the tunnels", { tunnelsBefore: null, tunnelsLowest: null, usersDisconnected: null }, "low"],
  ])("of %s", (_name, change, severity) => {
    expect(severityOf({ ...impact, ...change })).toBe(severity);
  });
});

describe("people", () => {
  test("the list pages by cursor, newest first, every incident once, also with equal moments", async () => {
    const { ctx, system } = await aHost();
    const attacks = Array.from({ length: 25 }, (_, i) =>
      anAttack({ start: Date.UTC(2026, 0, 1, 0, 0, Math.floor(i / 3)) }),
    );
    for (const { started } of attacks) await node.report(ctx, aReport({ events: [started] }));
    const seen: incident.IncidentSummary[] = [];
    let cursor: string | undefined;
    do {
      const page = await incident.list(system, { limit: 7, cursor });
      seen.push(...page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(25);
    expect(seen).toHaveLength(25);
    const moments = seen.map(({ startedAt }) => startedAt.getTime());
    expect(moments).toEqual([...moments].sort((a, b) => b - a));
  });

  test("filters narrow the list", async () => {
    const { ctx, system, nodeId } = await aHost();
    const [open, over] = [anAttack(), anAttack()];
    await node.report(ctx, aReport({ events: [open.started, ...over.all] }));
    const ids = async (filter: Parameters<typeof incident.list>[1]) =>
      (await incident.list(system, filter)).items.map(({ id }) => id).sort();
    expect(await ids({ status: "open" })).toEqual([open.attack]);
    expect(await ids({ nodeId })).toEqual([open.attack, over.attack].sort());
    expect(await ids({ nodeId: "nod_other" })).toEqual([]);
    expect(await ids({ vector: "syn_flood" })).toEqual([]);
    expect(await ids({ since: new Date() })).toEqual([]);
  });

  test.each(["", "x", "!!!", Buffer.from("2026-01-01T00:00:00.000Z ' or 1=1").toString("base64url")])(
    "the cursor %j is refused or is the start",
    async (cursor) => {
      const { system } = await aHost();
      if (cursor === "") expect((await incident.list(system, { cursor })).items).toEqual([]);
      else await expect(incident.list(system, { cursor })).rejects.toMatchObject({ code: "invalid_input" });
    },
  );

  test("acknowledging twice, or by two at once, is once: one name, one alert, one entry", async () => {
    const { ctx, workspaceId } = await aHost();
    const { attack, started } = anAttack();
    await node.report(ctx, aReport({ events: [started] }));
    const [ada, bob] = [await person(workspaceId), await person(workspaceId)];
    await Promise.all([ada, bob, ada].map((who) => incident.acknowledge(who, { incidentId: attack })));
    const found = await incident.get(ada, { incidentId: attack });
    expect(found.acknowledgedBy).not.toBeNull();
    expect(found.timeline.filter(({ kind }) => kind === "incident.acknowledged")).toHaveLength(1);
    const jobs = await withWorkspace(workspaceId, (tx) => tx.select().from(outbox));
    expect(jobs.filter(({ payload }) => payload.transition === "acknowledged")).toHaveLength(1);
  });

  test("what a node says later does not take an acknowledgement or a note away", async () => {
    const { ctx, workspaceId } = await aHost();
    const attack = anAttack();
    await node.report(ctx, aReport({ events: [attack.started] }));
    const ada = await person(workspaceId);
    await incident.acknowledge(ada, { incidentId: attack.attack });
    await incident.note(ada, { incidentId: attack.attack, text: "Called the carrier." });
    await node.report(ctx, aReport({ events: attack.all }));
    const found = await incident.get(ada, { incidentId: attack.attack });
    expect(found).toMatchObject({ status: "ended", acknowledgedBy: { name: "Ada" } });
    expect(found.timeline.map(({ text }) => text)).toContain("Called the carrier.");
  });

  test("a viewer looks and does not touch", async () => {
    const { ctx, workspaceId } = await aHost();
    const { attack, started } = anAttack();
    await node.report(ctx, aReport({ events: [started] }));
    const viewer = await person(workspaceId, "viewer");
    await expect(incident.acknowledge(viewer, { incidentId: attack })).rejects.toMatchObject({ code: "forbidden" });
    await expect(incident.note(viewer, { incidentId: attack, text: "x" })).rejects.toMatchObject({ code: "forbidden" });
    expect((await incident.get(viewer, { incidentId: attack })).acknowledgedAt).toBeNull();
    await expect(incident.get(ctx, { incidentId: attack })).rejects.toMatchObject({ code: "forbidden" });
  });

  test("the series shows what arrived, what was dropped and what passed, by the second", async () => {
    const { ctx, system } = await aHost();
    const { attack, all } = anAttack();
    const start = Date.parse(all[0]!.at) - 6;
    const seconds = [0, 1, 2].map((i) =>
      anObservation(new Date(start + (i + 1) * 1000), { pps: 300_000, droppedPps: 299_990, passedPps: 10 }),
    );
    await node.report(ctx, aReport({ events: all, observations: seconds }));
    const series = await incident.series(system, { incidentId: attack });
    expect(series.stepSeconds).toBe(1);
    const index = series.at.indexOf(start / 1000);
    expect(series.droppedPps.slice(index - 1, index + 4)).toEqual([null, 299_990, 299_990, 299_990, null]);
    expect(series.passedPps[index]).toBe(10);
    expect(series.tunnels[index]).toBe(42);
    expect(series.at.length).toBeGreaterThanOrEqual(100);
  });
});

test("every change of an incident is audited once", async () => {
  const { ctx, workspaceId } = await aHost();
  const attack = anAttack();
  for (let i = 0; i < 3; i++) await node.report(ctx, aReport({ events: attack.all }));
  const rows = await withWorkspace(workspaceId, (tx) => tx.select().from(auditLog));
  expect(rows.map(({ action }) => action).sort()).toEqual(["incident.classified", "incident.ended", "incident.opened"]);
  expect(new Set(rows.map(({ actor }) => actor))).toEqual(new Set([`node:${ctx.actor.nodeId}`]));
});
