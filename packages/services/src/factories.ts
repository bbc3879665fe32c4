import type { Observation } from "@flowtriq/protocol/observation";
import type { Report } from "@flowtriq/protocol/wire";
import { newId } from "./ids.ts";
import type { AttackEvent } from "./incident/fold.ts";

// What nodes say, for tests: plausible where the test does not care.

const START = Date.parse("2026-03-01T12:00:00.000Z");
const LANE = "udp:51820:malformed" as const;

/** A UDP flood of 40 s that was dropped after 9 ms and cost nobody a tunnel, from its first to its last event. */
export function anAttack({ attack = newId("atk"), start = START }: { attack?: string; start?: number } = {}) {
  const at = (ms: number) => new Date(start + ms).toISOString();
  const base = (ms: number) => ({ id: newId("evt"), at: at(ms), attack });
  const measured = {
    vector: "udp_flood" as const,
    confidence: 0.8,
    lane: LANE,
    port: 51820,
    transport: "udp" as const,
    pps: 212_000,
    bps: 1.4e9,
    thresholdPps: 2_000,
    passedPps: 90,
    tunnels: 42,
  };
  const started: AttackEvent = {
    ...base(6),
    ...measured,
    event: "attack.started",
    firstPacketAt: at(0),
    trippedAt: at(3),
    tunnelsBefore: 42,
  };
  const applied: AttackEvent = {
    ...base(9),
    event: "mitigation.applied",
    mode: "enforce",
    dryRun: false,
    mitigations: [{ id: "mit_1", lane: LANE, words: "Drop what is not WireGuard", rules: ["udp dport 51820 drop"] }],
  };
  const classified: AttackEvent = {
    ...base(400),
    ...measured,
    event: "attack.classified",
    confidence: 0.97,
    pps: 300_000,
    evidence: ["No packet has a WireGuard type."],
    profile: {
      samples: 80,
      sources: [{ key: "203.0.113.7", share: 0.2 }],
      distinctSources: 64,
      sourcePorts: [],
      destinationPorts: [{ key: "51820", share: 1 }],
      lengths: [],
      ttls: [],
      spoofed: "yes",
    },
  };
  const removed: AttackEvent = {
    ...base(40_000),
    event: "mitigation.removed",
    attack,
    reason: "ended",
    hits: [{ id: "mit_1", packets: 8_000_000, bytes: 512_000_000 }],
  };
  const ended: AttackEvent = {
    ...base(40_001),
    ...measured,
    event: "attack.ended",
    confidence: 0.99,
    startedAt: started.at,
    lastSeenAt: at(20_000),
    peakPps: 312_000,
    peakBps: 2.1e9,
    packets: 8_001_000,
    droppedPackets: 8_000_000,
    passedPackets: 1_000,
    tunnelsBefore: 42,
    tunnelsLowest: 42,
    tunnelsAfter: 42,
    usersDisconnected: 0,
  };
  const captured: AttackEvent = {
    ...base(40_010),
    event: "capture.written",
    file: `${attack}.pcap`,
    packets: 1_234,
    bytes: 90_000,
    secondsBefore: 12.345,
    complete: true,
  };
  const all = [started, applied, classified, removed, ended, captured];
  return { attack, started, applied, classified, removed, ended, captured, all };
}

export const aReport = (values: Partial<Report> = {}): Report => ({
  sentAt: new Date().toISOString(),
  agentVersion: "0.1.0",
  appliedRevision: 1,
  events: [],
  observations: [],
  ...values,
});

export const anObservation = (at: Date, values: Partial<Observation> = {}): Observation => ({
  at: at.toISOString(),
  pps: 1_000,
  bps: 8e6,
  droppedPps: 0,
  passedPps: 1_000,
  passedBps: 8e6,
  tunnels: 42,
  lanes: [],
  ...values,
});
