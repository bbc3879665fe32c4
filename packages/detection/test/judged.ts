import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { VpnPort as Port } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import { Baselines } from "../src/baseline.ts";
import { type Classification, classify } from "../src/classify.ts";
import { type Attack, Detector } from "../src/detect.ts";
import { inferHost, type SampleContext, summarizeCapture } from "../src/features.ts";
import { readPacket } from "../src/packet.ts";
import { readPcap } from "../src/pcap.ts";
import { replay, type Timed } from "../src/replay.ts";

/** What a capture is read with when nobody declares other ports: `ftagent replay` has the same. */
export const USUAL_PORTS: VpnPort[] = (
  [
    [51820, "wireguard", "udp"],
    [1194, "openvpn", "udp"],
    [443, "openvpn", "tcp"],
    [500, "ike", "udp"],
    [4500, "ipsec_nat_t", "udp"],
  ] as const
).map(([port, protocol, transport]) => Port.parse({ port, protocol, transport }));

export interface Judged {
  /** Attacks that the detector told of, as they ended, the largest first. */
  attacks: Attack[];
  /** What the largest was called, in the end; undefined where nothing rose above a threshold. */
  live: { verdict: TrafficVerdict; confidence: number } | undefined;
  /** The classifier's word on all that the host received, as if a rate had tripped. */
  whole: Classification;
}

export interface Judging extends Partial<SampleContext> {
  ports: readonly VpnPort[];
  /** Lanes that would drop while these attacks are on: by default all that are attacked. */
  armed?: (attacks: Attack[]) => readonly LaneId[];
}

const SAMPLES_PER_SECOND = 200;

/** Plays a capture to a node as `ftagent replay` does, with nothing learned before. */
export function judged(packets: readonly Timed[], { armed = everyLane, ...samples }: Judging): Judged {
  const ports = [...samples.ports];
  let number = 0;
  const detector = new Detector({
    ports,
    policy: Policy.parse({ mode: "enforce" }),
    baselines: new Baselines(),
    samples,
    newId: () => `atk_judged${String(++number).padStart(6, "0")}`,
  });
  const host = inferHost(
    packets.map(({ packet }) => packet),
    ports,
  );
  const last = new Map<string, Attack>();
  const changes = replay(packets, { ports, detector, host, samplesPerSecond: SAMPLES_PER_SECOND, armed });
  for (const { attack } of changes) last.set(attack.id, attack);
  const attacks = [...last.values()]
    .filter(({ verdict }) => verdict !== "reconnect_storm")
    .sort((a, b) => b.packets - a.packets);
  const [main] = attacks;
  return {
    attacks,
    live: main && { verdict: main.verdict, confidence: main.confidence },
    whole: classify(summarizeCapture(packets, samples, host)),
  };
}

const everyLane = (attacks: Attack[]): readonly LaneId[] => attacks.flatMap(({ lanes }) => lanes);

/** The packets of a capture file that can be read. */
export function packetsOf(file: Uint8Array): Timed[] {
  const packets: Timed[] = [];
  for (const { at, linkType, bytes, wireLength } of readPcap(file)) {
    const packet = readPacket(bytes, linkType, wireLength);
    if (packet) packets.push({ at, packet });
  }
  return packets;
}

/** The same packets at this mean rate. */
export function atPace(packets: readonly Timed[], pps: number): Timed[] {
  const [first, last] = [packets[0]?.at ?? 0, packets.at(-1)?.at ?? 0];
  const factor = packets.length / (pps * Math.max(1e-6, (last - first) / 1000));
  return packets.map(({ at, packet }) => ({ at: first + (at - first) * factor, packet }));
}
