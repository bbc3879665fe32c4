import type { Attack, Change } from "@flowtriq/detection/detect";
import { type SessionImpact, usersDisconnected } from "@flowtriq/detection/sessions";
import type { Plan } from "@flowtriq/mitigation/plan";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { portOf } from "@flowtriq/protocol/lane";
import { iso, type NewEvent } from "./sink.ts";

type Hits = AgentEventOf<"mitigation.removed">["hits"];
/** What the VPN servers did meanwhile: handshakes finished a second (null: not watched), and their sessions where they are known. */
export type Evidence = {
  handshakesBefore: number | null;
  handshakesDuring: number | null;
  sessions: SessionImpact | undefined;
};
type Why = AgentEventOf<"mitigation.removed">["reason"];

/** The rules before a change and after it, and when the kernel had them. */
export type Plans = { before: Plan; now: Plan; appliedAt: number };

/** What a change of an attack, and of the rules that follow from it, is told as. Times are epoch milliseconds. */
export function eventsOf(
  { kind, at, attack, profile }: Change,
  plans: Plans,
  hits: (attack: Attack) => Hits,
  evidence?: (attack: Attack) => Evidence,
): NewEvent[] {
  const events: NewEvent[] = [];
  const base = { at: iso(at), ...measuredFields(attack) };
  if (kind === "started") events.push({ event: "attack.started", ...base, ...startedFields(attack) });
  if (kind === "classified") {
    const firstPacketAt = iso(attack.firstPacketAt);
    events.push({
      event: "attack.classified",
      ...base,
      firstPacketAt,
      evidence: attack.evidence.slice(0, 16),
      profile,
    });
  }
  const applied = newlyApplied(plans.before, plans.now, attack.id);
  if (applied) events.push({ event: "mitigation.applied", at: iso(plans.appliedAt), attack: attack.id, ...applied });
  if (kind === "ended") {
    if (plans.before.byAttack.has(attack.id)) events.push(removed(attack, "ended", at, hits(attack)));
    events.push({ event: "attack.ended", ...base, ...endedFields(attack, evidence?.(attack)) });
  }
  return events;
}

/** An attack that ended while no agent was there to see it: what is known of it is as old as its last change. */
export const endedUnseen = (attack: Attack, at: number): NewEvent => ({
  event: "attack.ended",
  at: iso(at),
  ...measuredFields(attack),
  ...endedFields(attack, undefined),
});

export const removed = (attack: Attack, reason: Why, at: number, hits: Hits): NewEvent => ({
  event: "mitigation.removed",
  at: iso(at),
  attack: attack.id,
  reason,
  hits,
});

/** The mitigations of an attack, if there are others than before. */
function newlyApplied(before: Plan, now: Plan, attackId: string) {
  const wanted = now.byAttack.get(attackId);
  const known = before.byAttack.get(attackId);
  const same = known?.dryRun === wanted?.dryRun && known?.mitigations.length === wanted?.mitigations.length;
  return same ? undefined : wanted;
}

/** What every event of an attack says about it. */
function measuredFields(attack: Attack) {
  const lane = attack.lanes[0]!;
  return {
    attack: attack.id,
    vector: attack.verdict,
    confidence: Math.round(attack.confidence * 1000) / 1000,
    lane,
    ...portOf(lane),
    pps: attack.pps,
    bps: attack.bps,
    thresholdPps: attack.thresholdPps,
    passedPps: attack.passedPps,
    tunnels: attack.tunnels,
  };
}

const startedFields = (attack: Attack) => ({
  firstPacketAt: iso(attack.firstPacketAt),
  trippedAt: iso(attack.trippedAt),
  tunnelsBefore: attack.tunnelsBefore,
});

function endedFields(attack: Attack, evidence: Evidence | undefined) {
  const { tunnelsBefore, tunnelsLowest } = attack;
  return {
    startedAt: iso(attack.startedAt),
    lastSeenAt: iso(attack.lastSeenAt),
    peakPps: attack.peakPps,
    peakBps: attack.peakBps,
    packets: attack.packets,
    droppedPackets: attack.droppedPackets,
    passedPackets: Math.max(0, attack.packets - attack.droppedPackets),
    tunnelsBefore,
    tunnelsLowest,
    tunnelsAfter: attack.tunnels,
    usersDisconnected: usersDisconnected(tunnelsBefore, tunnelsLowest, evidence?.sessions),
    ...(evidence && { handshakesBefore: evidence.handshakesBefore, handshakesDuring: evidence.handshakesDuring }),
    ...(evidence?.sessions && { sessions: evidence.sessions }),
  };
}
