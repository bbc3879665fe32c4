import { randomBytes } from "node:crypto";
import type { AgentEvent, AgentEventOf } from "@flowtriq/protocol/event";
import type { VpnPort } from "@flowtriq/protocol/lane";
import type { Observation } from "@flowtriq/protocol/observation";
import { AGENT_PATHS, type EnrollResponse, type Report, type ReportResponse } from "@flowtriq/protocol/wire";

const id = (kind: string): string => `${kind}_${randomBytes(12).toString("base64url")}`;
const iso = (ms: number): string => new Date(ms).toISOString();

export const PORTS: VpnPort[] = [
  { port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" },
  { port: 1194, transport: "udp", protocol: "openvpn", strictness: "auto" },
];
export const TUNNELS = 2400;

type Attack = { id: string; startedAt: number; pps: number; vector: "udp_flood" | "wireguard_handshake_flood" };
const LANE = "udp:51820:malformed";
const THRESHOLD_PPS = 5200;
/** Attack packets a second that pass although rules are in force. */
export const LEAK_PPS = 61;

/** A node as ingest knows it: it speaks to the agents' door over HTTP, and what it says is what the agent would say. */
export class ReportingNode {
  readonly #ingestUrl: string;
  readonly #enrolled: EnrollResponse;
  readonly name: string;
  revision: number;

  private constructor(ingestUrl: string, name: string, enrolled: EnrollResponse) {
    this.#ingestUrl = ingestUrl;
    this.#enrolled = enrolled;
    this.name = name;
    this.revision = enrolled.policy.revision;
  }

  static async enrol(ingestUrl: string, token: string, name: string): Promise<ReportingNode> {
    const request = {
      token,
      machineId: `machine-${name}`,
      hostname: name,
      agentVersion: "0.1.0",
      kernel: "6.1.0-18-amd64",
      ports: PORTS,
    };
    return new ReportingNode(ingestUrl, name, await post(ingestUrl + AGENT_PATHS.enroll, request));
  }

  get id(): string {
    return this.#enrolled.nodeId;
  }

  report(events: AgentEvent[], observations: Observation[] = []): Promise<ReportResponse> {
    const report: Report = {
      sentAt: iso(Date.now()),
      agentVersion: "0.1.0",
      appliedRevision: this.revision,
      events,
      observations,
    };
    return post(this.#ingestUrl + AGENT_PATHS.report, report, this.#enrolled.nodeKey);
  }

  ready(): AgentEventOf<"agent.ready"> {
    const at = iso(Date.now());
    const { mode } = this.#enrolled.policy.policy;
    const backend = "nftables 1.0.6";
    return {
      ...{ id: id("evt"), at, event: "agent.ready", version: "0.1.0", interfaces: ["eth0"], ports: PORTS },
      ...{ mode, backend, tunnels: TUNNELS, adopted: [] },
    };
  }

  /** Seconds up to `end`, the attack's among them. */
  seconds(end: number, length: number, attack?: Attack, attackEnd = end): Observation[] {
    return Array.from({ length }, (_, index) => {
      const at = end - (length - 1 - index) * 1000;
      return second(at, attack && at > attack.startedAt && at <= attackEnd ? attack.pps : 0);
    });
  }
}

async function post<T>(url: string, body: unknown, key?: string): Promise<T> {
  const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** 0 to 1, the same for the same moment: traffic is never flat, and a picture should not change for nothing. */
function noise(at: number): number {
  const value = Math.sin(at / 777) * 43_758.5453;
  return value - Math.floor(value);
}

function second(at: number, attackPps: number): Observation {
  const calm = Math.round(2000 + 400 * noise(at));
  const attack = Math.round(attackPps * (0.92 + 0.12 * noise(at + 1)));
  const dropped = Math.max(0, attack - LEAK_PPS);
  const passed = calm + attack - dropped;
  return {
    at: iso(at),
    pps: calm + attack,
    bps: calm * 5600 + attack * 1100,
    droppedPps: dropped,
    passedPps: passed,
    passedBps: calm * 5600,
    tunnels: TUNNELS,
    lanes: [
      { lane: "udp:51820:data", pps: Math.round(calm * 0.7), bps: calm * 4000, droppedPps: 0 },
      { lane: "udp:51820:handshake", pps: 14, bps: 21_000, droppedPps: 0 },
      { lane: "udp:1194:data", pps: Math.round(calm * 0.27), bps: calm * 1500, droppedPps: 0 },
      { lane: "host:tcp", pps: 40, bps: 160_000, droppedPps: 0 },
      ...(attack > 0 ? [{ lane: LANE, pps: attack, bps: attack * 1100, droppedPps: dropped } as const] : []),
    ],
  };
}

export const attackAt = (startedAt: number, pps = 312_000, vector: Attack["vector"] = "udp_flood"): Attack => ({
  id: id("atk"),
  startedAt,
  pps,
  vector,
});

const measured = ({ id: attack, vector, pps }: Attack, confidence: number) => ({
  attack,
  vector,
  confidence,
  lane: LANE as "udp:51820:malformed",
  port: 51820,
  transport: "udp" as const,
  pps,
  bps: pps * 1100,
  thresholdPps: THRESHOLD_PPS,
  passedPps: LEAK_PPS,
  tunnels: TUNNELS,
});

const MITIGATIONS = [
  {
    id: "mit_pass",
    lane: "udp:51820:data" as const,
    words: "Pass data that carries an index this server issued",
    rules: ["udp dport 51820 @th,64,32 0x04000000 @th,96,32 @wg_idx counter accept"],
  },
  {
    id: "mit_index",
    lane: "udp:51820:unissued" as const,
    words: "Drop data with any other index",
    rules: ["udp dport 51820 @th,64,32 0x04000000 counter drop"],
  },
  {
    id: "mit_shape",
    lane: LANE as "udp:51820:malformed",
    words: "Drop what is no WireGuard message",
    rules: ["udp dport 51820 @th,64,32 != { 0x01000000, 0x02000000, 0x03000000, 0x04000000 } counter drop"],
  },
];

const shares = (...entries: [key: string, share: number][]) => entries.map(([key, share]) => ({ key, share }));

/** The attack's first 40 ms: tripped after 6, rules after 9, classified after 31. */
export const begun = (attack: Attack): AgentEvent[] => [
  {
    ...measured(attack, 0.5),
    ...{ id: id("evt"), at: iso(attack.startedAt + 7), event: "attack.started" },
    ...{ firstPacketAt: iso(attack.startedAt), trippedAt: iso(attack.startedAt + 6), tunnelsBefore: TUNNELS },
  },
  {
    ...{ id: id("evt"), at: iso(attack.startedAt + 9), event: "mitigation.applied" },
    ...{ attack: attack.id, mode: "enforce", dryRun: false, mitigations: MITIGATIONS },
  },
  {
    ...measured(attack, 0.96),
    ...{ id: id("evt"), at: iso(attack.startedAt + 31), event: "attack.classified" },
    evidence: [
      "99.6 % of packets carry no valid WireGuard message type.",
      "41,207 sources sent 1.0 packet each; none is a known peer.",
      "TTL spread of 34 values and random source ports: addresses are spoofed.",
      "Handshakes finished at the usual 14 a minute throughout: no reconnect storm.",
    ],
    profile: {
      samples: 2113,
      sources: shares(["198.51.100.0/24", 0.04], ["203.0.113.7", 0.02], ["192.0.2.44", 0.012], ["100.64.12.9", 0.01]),
      distinctSources: 41_207,
      sourcePorts: shares(["random", 0.99], ["53", 0.004]),
      destinationPorts: shares(["51820", 1]),
      lengths: shares(["64-127", 0.91], ["128-511", 0.04], ["8-63", 0.04], ["512+", 0.01]),
      ttls: shares(["48-63", 0.52], ["112-127", 0.31], ["240-255", 0.12]),
      spoofed: "yes",
    },
  },
];

/** Its end at `over`. `usersDisconnected` null: nobody could tell. */
export function ended(attack: Attack, over: number, usersDisconnected: number | null = 0): AgentEvent[] {
  const packets = Math.round((attack.pps * (over - attack.startedAt)) / 1000);
  const passedPackets = 9200;
  return [
    {
      ...{ id: id("evt"), at: iso(over), event: "mitigation.removed", attack: attack.id, reason: "ended" },
      hits: [
        { id: "mit_pass", packets: 9_412_008, bytes: 5_835_444_960 },
        { id: "mit_index", packets: 211_904, bytes: 21_190_400 },
        { id: "mit_shape", packets: packets - passedPackets, bytes: (packets - passedPackets) * 100 },
      ],
    },
    {
      ...measured({ ...attack, pps: 0 }, 0.96),
      ...{ id: id("evt"), at: iso(over + 1), event: "attack.ended", startedAt: iso(attack.startedAt + 7) },
      ...{ lastSeenAt: iso(over), peakPps: attack.pps, peakBps: attack.pps * 1100 },
      ...{ packets, droppedPackets: packets - passedPackets, passedPackets },
      ...{ tunnelsBefore: TUNNELS, tunnelsLowest: TUNNELS, tunnelsAfter: TUNNELS, usersDisconnected },
    },
  ];
}
