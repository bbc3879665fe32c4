import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import { addressText, PROTOCOL, TCP } from "@flowtriq/detection/packet";
import { type CaptureOf, type Pace, paced, type Scene, sceneOf } from "@flowtriq/lab/capture";
import { createTopology, ip, run, type Topology } from "@flowtriq/lab/namespaces";
import { type PlayReport, play, readyForCaptures } from "@flowtriq/lab/play";
import { startVerdicts, type Verdicts } from "@flowtriq/lab/verdicts";
import { BARE_HOST, type HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { leasesOf } from "@flowtriq/mitigation/leases";
import { mitigationOf } from "@flowtriq/mitigation/mitigations";
import { arrivedCounter, droppedCounter } from "@flowtriq/mitigation/names";
import { toNftables } from "@flowtriq/mitigation/nftables";
import type { AgentEvent, AgentEventOf } from "@flowtriq/protocol/event";
import { type LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { startAgent, TABLE } from "./agent.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Real captures that are not part of the product: CORPORA_DIR says where they are. */
export const CORPORA = path.resolve(ROOT, process.env.CORPORA_DIR ?? "../shared/corpora");
const FIXTURES = path.join(ROOT, "packages/detection/fixtures");

export interface Source {
  name: string;
  file: string;
  ports: VpnPort[];
}

/** The captures of one side of the corpus; none where the folder is absent. */
export function corpus(side: "legit" | "attacks"): Source[] {
  const folder = path.join(CORPORA, side);
  return fs.existsSync(folder) ? sources(folder, (name) => name.endsWith(".pcap")) : [];
}

/** Recordings of the product's own, by their names. */
export const fixtures = (which: RegExp): Source[] => sources(FIXTURES, (name) => which.test(name));

function sources(folder: string, which: (name: string) => boolean): Source[] {
  const names = fs.readdirSync(folder).filter(which).sort();
  return names.map((name) => ({ name, file: path.join(folder, name), ports: portsOf(name) }));
}

type Declared = readonly [number, VpnPort["protocol"], VpnPort["transport"]?, VpnPort["strictness"]?];

const ORDINARY: Declared[] = [
  [51820, "wireguard"],
  [1194, "openvpn"],
  [443, "openvpn", "tcp"],
  [500, "ike"],
  [4500, "ipsec_nat_t"],
];
/** Where a capture's VPN is on another port than usual, as its operator would declare it. */
const ELSEWHERE: [RegExp, Declared[]][] = [
  [/^wireguard-443/, [[443, "wireguard"]]],
  // Its own discovery packets share the port.
  [/^tailscale/, [[41641, "wireguard", "udp", "lenient"]]],
  [/^openvpn-13680/, [[13680, "openvpn"]]],
  [/^openvpn-udp137/, [[137, "openvpn"]]],
  [/^openvpn-tcp138/, [[138, "openvpn", "tcp"]]],
  [/^openvpn-tcp(-|--)/, [[1194, "openvpn", "tcp"]]],
  [
    /^ikev2-esp-10500/,
    [
      [10500, "ike"],
      [14500, "ipsec_nat_t"],
    ],
  ],
  [/^softether/, [[5004, "softether"]]],
  [/^anyconnect/, [[443, "other"]]],
  [
    /^tinc/,
    [
      [55655, "other"],
      [55656, "other"],
    ],
  ],
  [/^shadowsocks/, [[8388, "other", "tcp"]]],
];

function portsOf(name: string): VpnPort[] {
  const own = ELSEWHERE.find(([pattern]) => pattern.test(name))?.[1] ?? [];
  const taken = new Set(own.map(([port, , transport]) => `${transport ?? "udp"} ${port}`));
  const others = ORDINARY.filter(([port, , transport]) => !taken.has(`${transport ?? "udp"} ${port}`));
  return [...own, ...others].map(([port, protocol, transport = "udp", strictness = "auto"]) =>
    VpnPort.parse({ port, protocol, transport, strictness }),
  );
}

export interface Outcome {
  capture: CaptureOf;
  /** The packets as they were played: the verdicts are their numbers. */
  played: Scene[];
  report: PlayReport;
  verdicts: Verdicts;
  /** Arriving packets that the rules dropped, by number. */
  dropped: number[];
  /** What each lane says it has dropped. */
  byLane: Map<LaneId, number>;
  arrivedByLane: Map<LaneId, number>;
  events: AgentEvent[];
}

/** A lab for one capture after another: nothing learned from one is left for the next. */
export class Stage {
  readonly #lab: Topology;
  readonly #verdicts: Awaited<ReturnType<typeof startVerdicts>>;

  private constructor(lab: Topology, verdicts: Awaited<ReturnType<typeof startVerdicts>>) {
    this.#lab = lab;
    this.#verdicts = verdicts;
  }

  static async set(): Promise<Stage> {
    const lab = await createTopology({ clients: 0 });
    try {
      await readyForCaptures(lab);
      return new Stage(lab, await startVerdicts(lab));
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  strike = () => this.#lab.destroy();

  /** Gives the concentrator the address of the capture's host: else that passes for somebody whom it only routes for. */
  async give({ file, ports }: Source): Promise<void> {
    const { host } = sceneOf(fs.readFileSync(file), ports);
    if (host === undefined) return;
    const prefix = `${addressText(host)}/${typeof host === "number" ? 32 : 128}`;
    await ip([`addr add ${prefix} dev lo`], this.#lab.concentrator.namespace);
  }

  /** Plays a capture at the compiled agent, which may enforce what it decides. */
  async enforced(source: Source, pace: Pace, rounds = 1): Promise<Outcome> {
    const config = { interfaces: ["eth0"], ports: source.ports, mode: "enforce" };
    const agent = await startAgent(this.#lab, config);
    try {
      const outcome = await this.#play(source, pace, rounds);
      return { ...outcome, events: agent.events() };
    } finally {
      await agent.end("SIGKILL");
      await this.#nft(`delete table inet ${TABLE}`);
    }
  }

  /** Plays it at the same rules with every lane armed from the beginning, as if everything were attacked at once. */
  async armed(source: Source, pace: Pace): Promise<Outcome> {
    const { ports } = source;
    const detector = new Detector({
      ports,
      policy: { ...DEFAULT_POLICY, mode: "enforce" },
      baselines: new Baselines(),
      samples: { ports, mac1Keys: new Map() },
      newId: () => "atk",
    });
    const facts: HostFacts = {
      table: TABLE,
      interfaces: ["eth0"],
      ports,
      hook: "ingress",
      nflogGroup: 4999,
      samplesPerSecond: 10,
      trips: (lane) => detector.threshold(lane).bell,
      ...BARE_HOST,
    };
    await this.#nft(`${toNftables(facts)}${armAll(ports)}`);
    try {
      return { ...(await this.#play(source, pace, 1)), events: [] };
    } finally {
      await this.#nft(`delete table inet ${TABLE}`);
    }
  }

  async #play({ file, ports }: Source, pace: Pace, rounds: number): Promise<Omit<Outcome, "events">> {
    const capture = sceneOf(fs.readFileSync(file), ports);
    const played = repeated(paced(capture.scenes, pace), rounds);
    await this.#verdicts.reset();
    const report = await play(this.#lab, played);
    const verdicts = await this.#verdicts.read();
    const counters = await this.#counters();
    const ofLanes = (name: (lane: LaneId) => string) =>
      new Map(lanesOf(ports).flatMap((lane) => (counters.get(name(lane)) ? [[lane, counters.get(name(lane))!]] : [])));
    return {
      capture,
      played,
      report,
      verdicts,
      dropped: [...verdicts.arrived].filter((number) => !verdicts.passed.has(number)).sort((a, b) => a - b),
      byLane: ofLanes(droppedCounter),
      arrivedByLane: ofLanes(arrivedCounter),
    };
  }

  async #counters(): Promise<Map<string, number>> {
    const argv = ["nft", "-j", "list", "counters", "table", "inet", TABLE];
    const { stdout } = await run(this.#lab.concentrator.namespace, argv);
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] };
    return new Map(nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets] as const] : [])));
  }

  async #nft(input: string): Promise<void> {
    await run(this.#lab.concentrator.namespace, ["nft", "-f", "-"], { input: `${input}\n` });
  }
}

/** Elements that arm every lane which has a mitigation, for longer than any test. */
export function armAll(ports: VpnPort[], table = TABLE): string {
  const context = { ports, conntrack: false };
  const armed = lanesOf(ports).filter((lane) => mitigationOf(lane, context));
  return leasesOf({ armed, watched: [], firstAid: [] }, context, 3_600)
    .map(({ set, elements }) => {
      const list = elements.map(({ key, chain }) => `${key} timeout 1h : goto ${chain}`).join(", ");
      return `flush map inet ${table} ${set}\nadd element inet ${table} ${set} { ${list} }\n`;
    })
    .join("");
}

function repeated(scenes: Scene[], rounds: number): Scene[] {
  const end = scenes.at(-1)?.at ?? 0;
  // The next round begins one mean gap after the last.
  const length = end + end / Math.max(1, scenes.length - 1);
  return Array.from({ length: rounds }, (_, round) =>
    scenes.map((scene) => ({ ...scene, at: scene.at + round * length })),
  ).flat();
}

/** Attacks that the agent spoke of; a crowd that comes back is none. */
export const attacksIn = (events: AgentEvent[]): AgentEventOf<"attack.started">[] =>
  events.filter(
    (event): event is AgentEventOf<"attack.started"> =>
      event.event === "attack.started" && event.vector !== "reconnect_storm",
  );

/** Numbers of the arriving packets that are exact copies of one before: some captures, and some networks, have each packet twice. */
export function copiesIn(played: readonly Scene[]): Set<number> {
  const seen = new Set<string>();
  const copies = new Set<number>();
  for (const [number, { way, bytes }] of played.entries()) {
    if (way === "out") continue;
    const content = Buffer.from(bytes).toString("latin1");
    if (seen.has(content)) copies.add(number);
    seen.add(content);
  }
  return copies;
}

/**
 * Numbers of the arriving packets whose sender the host had answered before: same protocol, address and ports. Nobody who is
 * known in this sense may lose a packet, whatever is armed. A connection request is none of them: it asks anew, answered or not.
 */
export function fromKnownPeers(played: readonly Scene[]): Set<number> {
  const answered = new Set<string>();
  const known = new Set<number>();
  for (const [number, { way, packet }] of played.entries()) {
    const { protocol, source, destination, sourcePort, destinationPort } = packet;
    const asks = protocol === PROTOCOL.tcp && (packet.tcpFlags & (TCP.syn | TCP.ack)) === TCP.syn;
    if (way === "out") answered.add(`${protocol} ${destination} ${destinationPort} ${sourcePort}`);
    else if (!asks && answered.has(`${protocol} ${source} ${sourcePort} ${destinationPort}`)) known.add(number);
  }
  return known;
}
