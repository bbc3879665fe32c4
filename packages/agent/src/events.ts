import type { Attack } from "@flowtriq/detection/detect";
import { portOf } from "@flowtriq/protocol/lane";
import { iso } from "./sink.ts";

/** What every event of an attack says about it. */
export function measuredFields(attack: Attack) {
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

export function startedFields(attack: Attack) {
  return {
    firstPacketAt: iso(attack.firstPacketAt),
    trippedAt: iso(attack.trippedAt),
    tunnelsBefore: attack.tunnelsBefore,
  };
}

export function endedFields(attack: Attack) {
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
    usersDisconnected:
      tunnelsBefore === null || tunnelsLowest === null ? null : Math.max(0, tunnelsBefore - tunnelsLowest),
  };
}
