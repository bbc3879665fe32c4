import { aMember, aWorkspace } from "@flowtriq/db/factories";
import { AGENT_PATHS, LiveFrame, ReportResponse } from "@flowtriq/protocol/wire";
import { type Context, systemContext } from "@flowtriq/services/context";
import { anAttack, anObservation, aReport } from "@flowtriq/services/factories";
import * as incident from "@flowtriq/services/incident";
import { ticket } from "@flowtriq/services/live";
import * as node from "@flowtriq/services/node";
import * as policy from "@flowtriq/services/policy";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Door, Events, enrolled, enrollment, openDoor, post } from "./door.ts";

let door: Door;
const open: Events[] = [];
const streams = {
  live: async (ctx: Context) => track(await Events.open(`${door.url}/live?ticket=${await ticket(ctx)}`)),
  policy: async (key: string) =>
    track(await Events.open(door.url + AGENT_PATHS.policyStream, { authorization: `Bearer ${key}` })),
};
const track = (events: Events) => {
  open.push(events);
  return events;
};
beforeAll(async () => {
  door = await openDoor();
});
afterEach(() => {
  for (const events of open.splice(0)) events.close();
});
afterAll(() => door.stop());

test("a node enrols, reports an attack, and the workspace sees it", async () => {
  const host = await enrolled(door);
  const ctx = systemContext(host.workspaceId);
  expect((await node.get(ctx, { nodeId: host.nodeId })).status).toBe("never");
  const { attack, all } = anAttack();
  const answer = await host.report(aReport({ events: all, observations: [anObservation(new Date())] }));
  expect(answer.status).toBe(200);
  expect(ReportResponse.parse(await answer.json())).toEqual({
    acknowledged: all.map(({ id }) => id),
    wantedRevision: 1,
  });
  expect(await incident.get(ctx, { incidentId: attack })).toMatchObject({
    nodeId: host.nodeId,
    status: "ended",
    peakPps: 312_000,
    timeToFirstDropMs: 9,
    usersDisconnected: 0,
  });
  expect(await node.get(systemContext(host.workspaceId), { nodeId: host.nodeId })).toMatchObject({
    status: "online",
    tunnels: 42,
    pop: null,
  });
});

test("an agent that is newer than the service reports on: events of unknown kinds are acknowledged, all others stored", async () => {
  const host = await enrolled(door);
  const { attack, all } = anAttack();
  const newer = { id: "evt_0123456789abcdef", at: all[0]!.at, event: "tunnel.moved", to: { anything: [1, 2] } };
  const answer = await host.report({ ...aReport(), events: [newer, ...all] });
  const ids = [...all.map(({ id }) => id), newer.id];
  expect(ReportResponse.parse(await answer.json()).acknowledged).toEqual(ids);
  expect((await incident.get(systemContext(host.workspaceId), { incidentId: attack })).status).toBe("ended");
  // Not a kind at all, or a known kind with a field too many: that is a mistake, and is said.
  for (const event of [
    { ...newer, event: "<script>" },
    { ...all[0]!, more: 1 },
  ]) {
    expect((await host.report({ ...aReport(), events: [event] })).status).toBe(400);
  }
});

test("an incident and a second reach the open dashboard, the snapshot first", async () => {
  const host = await enrolled(door);
  const earlier = anAttack();
  const now = new Date();
  await host.report(aReport({ events: [earlier.started], observations: [anObservation(now, { pps: 5 })] }));
  const events = await streams.live(systemContext(host.workspaceId));
  expect(events.response.headers.get("content-type")).toContain("text/event-stream");
  const first = LiveFrame.parse((await events.next()).data);
  expect(first).toMatchObject({ type: "observation", nodeId: host.nodeId, pps: 5 });
  expect((await events.next()).data).toEqual({ type: "incident", incidentId: earlier.attack, change: "open" });

  const { attack, started } = anAttack();
  await host.report(aReport({ events: [started] }));
  // The node's own enrolment may still be on its way to the stream.
  const told = await events.next(({ data }) => (data as LiveFrame).type === "incident");
  expect(told.data).toEqual({ type: "incident", incidentId: attack, change: "opened" });
  const at = new Date(now.getTime() + 1000);
  await host.report(aReport({ observations: [anObservation(at, { pps: 7 })] }));
  const frame = LiveFrame.parse((await events.next(({ data }) => (data as LiveFrame).type === "observation")).data);
  expect(frame).toEqual({
    ...{ type: "observation", nodeId: host.nodeId, at: at.toISOString(), pps: 7, bps: 8e6 },
    ...{ droppedPps: 0, passedPps: 1_000, tunnels: 42 },
  });
});

test("a new policy reaches an open stream, and an older one never follows", async () => {
  const host = await enrolled(door);
  const events = await streams.policy(host.nodeKey);
  expect(await events.next()).toMatchObject({ event: "policy", data: { revision: 1, policy: { mode: "observe" } } });
  const ctx = systemContext(host.workspaceId);
  for (let revision = 2; revision <= 6; revision++) {
    await policy.update(ctx, { policy: { mode: "enforce", sensitivity: revision } });
  }
  const revisions: number[] = [];
  while (revisions.at(-1) !== 6) revisions.push(((await events.next()).data as { revision: number }).revision);
  expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  const answer = await host.report(aReport());
  expect(await answer.json()).toMatchObject({ wantedRevision: 6 });
});

test("two tenants never see each other: lists, details, live and policy streams", async () => {
  const [ours, theirs] = [await enrolled(door), await enrolled(door)];
  const viewer = await aMember(ours.workspaceId, "viewer");
  const ctx: Context = {
    workspaceId: ours.workspaceId,
    actor: { kind: "user", userId: viewer.id, role: "viewer" },
    now: new Date(),
  };
  const live = await streams.live(ctx);
  const policies = await streams.policy(ours.nodeKey);
  await policies.next();

  const attack = anAttack();
  await theirs.report(aReport({ events: attack.all, observations: [anObservation(new Date())] }));
  await policy.update(systemContext(theirs.workspaceId), { policy: { mode: "enforce" } });
  expect((await incident.list(ctx, {})).items).toEqual([]);
  expect((await node.list(ctx, {})).items.map(({ id }) => id)).toEqual([ours.nodeId]);
  await expect(incident.get(ctx, { incidentId: attack.attack })).rejects.toMatchObject({ code: "not_found" });
  await expect(incident.series(ctx, { incidentId: attack.attack })).rejects.toMatchObject({ code: "not_found" });
  await expect(node.get(ctx, { nodeId: theirs.nodeId })).rejects.toMatchObject({ code: "not_found" });

  // The same attack id from our own node is another incident: ids are per workspace.
  await ours.report(aReport({ events: [attack.started] }));
  expect(await incident.get(ctx, { incidentId: attack.attack })).toMatchObject({ status: "open", nodeId: ours.nodeId });

  // Everything of theirs was committed before this: had it leaked, it would be here first.
  await ours.report(aReport({ observations: [anObservation(new Date(), { pps: 11 })] }));
  await live.next(({ data }) => (data as { pps?: number }).pps === 11);
  await policy.update(systemContext(ours.workspaceId), { policy: { mode: "approve" } });
  expect((await policies.next()).data).toMatchObject({ revision: 2, policy: { mode: "approve" } });
});

test("frames of another tenant are in nobody else's live stream", async () => {
  const [ours, theirs] = [await enrolled(door), await enrolled(door)];
  const live = await streams.live(systemContext(ours.workspaceId));
  for (let i = 0; i < 5; i++)
    await theirs.report(aReport({ events: anAttack().all, observations: [anObservation(new Date())] }));
  await ours.report(aReport({ observations: [anObservation(new Date())] }));
  const seen: unknown[] = [];
  for (let frame = await live.next(); ; frame = await live.next()) {
    seen.push(frame.data);
    if ((frame.data as LiveFrame).type === "observation") break;
  }
  expect(JSON.stringify(seen)).not.toContain(theirs.nodeId);
  expect(seen.filter((frame) => (frame as LiveFrame).type === "incident")).toEqual([]);
});

test("a node cannot write into the attack of another node of its workspace", async () => {
  const { id } = await aWorkspace();
  const [first, second] = [await enrolled(door, id), await enrolled(door, id)];
  const { attack, started, ended } = anAttack();
  await first.report(aReport({ events: [started] }));
  const answer = await second.report(aReport({ events: [ended] }));
  expect(await answer.json()).toMatchObject({ acknowledged: [ended.id] });
  expect(await incident.get(systemContext(id), { incidentId: attack })).toMatchObject({
    status: "open",
    nodeId: first.nodeId,
  });
});

test("the same machine that enrols again is the same node, and its old key ends", async () => {
  const { id } = await aWorkspace();
  const { token } = await node.createEnrolmentToken(systemContext(id), { uses: 1, pop: "fra" });
  const body = enrollment(token);
  const enroll = async () => {
    const answer = await post(door.url, AGENT_PATHS.enroll, body);
    return (await answer.json()) as { nodeId: string; nodeKey: string };
  };
  const [one, two] = [await enroll(), await enroll()];
  expect(two.nodeId).toBe(one.nodeId);
  const answer = (key: string) => Events.open(door.url + AGENT_PATHS.policyStream, { authorization: `Bearer ${key}` });
  expect(track(await answer(one.nodeKey)).response.status).toBe(401);
  expect(track(await answer(two.nodeKey)).response.status).toBe(200);
  expect((await node.list(systemContext(id), {})).items).toMatchObject([{ id: one.nodeId, pop: "fra" }]);
});
