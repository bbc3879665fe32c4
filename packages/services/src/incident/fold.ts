import type { IncidentRule, incident } from "@flowtriq/db/schema/incident";
import { fallbackVerdict } from "@flowtriq/detection/verdict";
import type { AgentEvent, AgentEventOf } from "@flowtriq/protocol/event";
import { portOf } from "@flowtriq/protocol/lane";
import { count, instant } from "./bounds.ts";
import { severityOf } from "./severity.ts";

export const ATTACK_EVENTS = [
  "attack.started",
  "attack.classified",
  "mitigation.applied",
  "mitigation.removed",
  "attack.ended",
  "capture.written",
] as const;
export type AttackEvent = AgentEventOf<(typeof ATTACK_EVENTS)[number]>;
type Measured = AgentEventOf<"attack.started" | "attack.classified" | "attack.ended">;

/** All that the node's events say of an incident. */
export type Figures = Omit<
  typeof incident.$inferInsert,
  "workspaceId" | "id" | "nodeId" | "acknowledgedBy" | "acknowledgedAt"
>;

export const isAttackEvent = (event: AgentEvent): event is AttackEvent =>
  (ATTACK_EVENTS as readonly string[]).includes(event.event);

/** The incident as its events tell it, whatever the order in which they came. At least one event. */
export function fold(unordered: readonly AttackEvent[]): Figures {
  const events = [...unordered].sort((a, b) => compare(a.at, b.at) || compare(a.id, b.id));
  const of = <K extends AttackEvent["event"]>(kind: K) =>
    events.filter((event): event is Extract<AttackEvent, { event: K }> => event.event === kind);
  const started = of("attack.started")[0];
  const classified = of("attack.classified").at(-1);
  const applied = of("mitigation.applied");
  const ended = of("attack.ended").at(-1);
  const measured = events.filter((event): event is Measured => "vector" in event);
  const last = measured.at(-1);

  const lane = (started ?? last)?.lane ?? applied[0]?.mitigations[0]?.lane ?? "host:protocol";
  const port = portOf(lane);
  const tunnels = measured.map((event) => event.tunnels).filter((value) => value !== null);
  const dropping = applied.find((event) => !event.dryRun);
  const impact = {
    // Until a measurement arrives the lane suggests the vector, with no confidence at all.
    vector: last?.vector ?? fallbackVerdict(lane, []),
    peakPps: Math.max(0, ...measured.map((event) => event.pps), ended?.peakPps ?? 0),
    packets: ended?.packets ?? null,
    passedPackets: ended?.passedPackets ?? null,
    tunnelsBefore: count(started?.tunnelsBefore ?? ended?.tunnelsBefore),
    tunnelsLowest: count(ended?.tunnelsLowest ?? (tunnels.length > 0 ? Math.min(...tunnels) : null)),
    usersDisconnected: count(ended?.usersDisconnected),
  };
  return {
    ...impact,
    status: ended ? "ended" : "open",
    confidence: last?.confidence ?? 0,
    severity: severityOf(impact),
    lane,
    port: port?.port ?? null,
    transport: port?.transport ?? null,
    mode: applied.at(-1)?.mode ?? null,
    startedAt: instant(started?.at ?? ended?.startedAt ?? events[0]!.at),
    firstPacketAt: started ? instant(started.firstPacketAt) : null,
    trippedAt: started ? instant(started.trippedAt) : null,
    rulesAt: dropping ? instant(dropping.at) : null,
    classifiedAt: classified ? instant(of("attack.classified")[0]!.at) : null,
    endedAt: ended ? instant(ended.at) : null,
    thresholdPps: started?.thresholdPps ?? last?.thresholdPps ?? null,
    peakBps: Math.max(0, ...measured.map((event) => event.bps), ended?.peakBps ?? 0),
    droppedPackets: ended?.droppedPackets ?? null,
    tunnelsAfter: count(ended?.tunnelsAfter),
    profile: classified?.profile ?? null,
    evidence: classified?.evidence ?? [],
    rules: rulesOf(applied, of("mitigation.removed")),
  };
}

/** Every mitigation that was ever in force, in its latest words; a rule that came and went twice has the hits of both times. */
function rulesOf(
  applied: readonly AgentEventOf<"mitigation.applied">[],
  removed: readonly AgentEventOf<"mitigation.removed">[],
): IncidentRule[] {
  const rules = new Map<string, IncidentRule>();
  for (const { mitigations, dryRun } of applied) {
    for (const mitigation of mitigations) rules.set(mitigation.id, { ...mitigation, dryRun, hits: null });
  }
  for (const hit of removed.flatMap((event) => event.hits)) {
    const rule = rules.get(hit.id);
    if (!rule) continue;
    rule.hits = { packets: (rule.hits?.packets ?? 0) + hit.packets, bytes: (rule.hits?.bytes ?? 0) + hit.bytes };
  }
  return [...rules.values()];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
