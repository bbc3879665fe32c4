import fs from "node:fs";
import { Baselines } from "@flowtriq/detection/baseline";
import { classify } from "@flowtriq/detection/classify";
import { type Attack, type Change, Detector } from "@flowtriq/detection/detect";
import { inferHost, summarizeCapture } from "@flowtriq/detection/features";
import { mac1Key } from "@flowtriq/detection/mac1";
import { readPacket } from "@flowtriq/detection/packet";
import { readPcap } from "@flowtriq/detection/pcap";
import { replay, type Timed } from "@flowtriq/detection/replay";
import { type Plan, plan } from "@flowtriq/mitigation/plan";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { isVector } from "@flowtriq/protocol/event";
import { VpnPort } from "@flowtriq/protocol/lane";
import { localPolicy, readConfig } from "./config.ts";
import { eventsOf } from "./events.ts";
import { EXIT_CONFIG, Problem } from "./problem.ts";
import type { NewEvent } from "./sink.ts";

/** Ports that a capture is read with when no configuration says otherwise. */
const DEFAULT_PORTS = [
  { port: 51820, transport: "udp", protocol: "wireguard" },
  { port: 1194, transport: "udp", protocol: "openvpn" },
  { port: 443, transport: "tcp", protocol: "openvpn" },
  { port: 500, transport: "udp", protocol: "ike" },
  { port: 4500, transport: "udp", protocol: "ipsec_nat_t" },
].map((port) => VpnPort.parse(port));

const MAX_FILE_BYTES = 2 ** 31;

/** Runs the node's decisions on a capture, in the capture's time, and prints its events and a summary. */
export function replayFile(
  file: string,
  given: AgentConfig | undefined,
  json: boolean,
  print: (line: unknown) => void,
): void {
  const config = given ?? { ...readConfig(undefined), mode: "enforce" as const };
  const ports = config.ports ?? DEFAULT_PORTS;
  const policy = localPolicy(config);
  const { packets, truncated } = readPackets(file);
  const samples = {
    ports,
    mac1Keys: new Map(Object.entries(config.wireguardPublicKeys).map(([port, key]) => [Number(port), mac1Key(key)])),
  };
  let attackNumber = 0;
  const detector = new Detector({
    ports,
    policy,
    baselines: new Baselines(),
    samples,
    newId: () => `atk_replay${String(++attackNumber).padStart(6, "0")}`,
  });
  const planFor = (attacks: Attack[]) =>
    plan(
      policy,
      attacks.map(({ id, verdict, lanes }) => ({ id, verdict, lanes, withdrawn: false })),
      { ports, conntrack: false },
    );
  const host = inferHost(
    packets.map(({ packet }) => packet),
    ports,
  );
  const writer = new EventWriter(print, json);
  const largest = new Map<string, Attack>();
  const changes = replay(packets, {
    ports,
    detector,
    host,
    samplesPerSecond: config.samplesPerSecond,
    armed: (attacks) => planFor(attacks).armed,
  });
  let before = planFor([]);
  for (const change of changes) {
    largest.set(change.attack.id, change.attack);
    const now = planFor(detector.attacks);
    writer.change(change, before, now);
    before = now;
  }
  const main = [...largest.values()]
    .filter(({ verdict }) => isVector(verdict))
    .sort((a, b) => b.packets - a.packets)[0];
  // Everything that the host received, as if a rate had tripped.
  const classification = classify(summarizeCapture(packets, samples, host));
  writer.summary({
    event: "replay.summary",
    packets: packets.length,
    attack: main !== undefined,
    vector: main?.verdict ?? null,
    confidence: main?.confidence ?? classification.confidence,
    classification: { vector: classification.vector, confidence: classification.confidence },
    ...(truncated === undefined ? {} : { truncated }),
  });
}

function readPackets(file: string): { packets: Timed[]; truncated: string | undefined } {
  const capture = readPcap(readBytes(file));
  const packets: Timed[] = [];
  for (const { at, linkType, bytes, wireLength } of capture) {
    const packet = readPacket(bytes, linkType, wireLength);
    if (packet) packets.push({ at, packet });
  }
  if (capture.truncated !== undefined) process.stderr.write(`${file}: ${capture.truncated}; what is whole was read\n`);
  return { packets, truncated: capture.truncated };
}

function readBytes(file: string): Uint8Array {
  try {
    if (fs.statSync(file).size > MAX_FILE_BYTES) throw new Error("larger than 2 GiB: cut it with editcap");
    return fs.readFileSync(file);
  } catch (error) {
    throw new Problem(
      `cannot read ${file}: ${(error as Error).message}`,
      "Give a pcap or pcapng file.",
      EXIT_CONFIG,
      error,
    );
  }
}

class EventWriter {
  readonly #print: (line: unknown) => void;
  readonly #json: boolean;
  #events = 0;

  constructor(print: (line: unknown) => void, json: boolean) {
    this.#print = print;
    this.#json = json;
  }

  change(change: Change, before: Plan, now: Plan): void {
    const plans = { before, now, appliedAt: change.at };
    for (const event of eventsOf(change, plans, () => [])) this.#emit(event);
  }

  summary(
    summary: { packets: number; attack: boolean; vector: string | null; confidence: number } & Record<string, unknown>,
  ): void {
    if (this.#json) {
      this.#print(summary);
      return;
    }
    const sure = `${Math.round(summary.confidence * 100)} % sure`;
    this.#print(
      summary.attack
        ? `${summary.packets} packets: ${summary.vector}, ${sure}.`
        : `${summary.packets} packets: no attack.`,
    );
  }

  #emit(event: NewEvent): void {
    const whole = { ...event, id: `evt_replay${String(++this.#events).padStart(8, "0")}` };
    this.#print(
      this.#json
        ? whole
        : `${whole.at}  ${whole.event}${"vector" in whole ? `  ${whole.vector} ${whole.pps} pps` : ""}`,
    );
  }
}
