// The demonstration without root: the same decisions, on a capture instead of a kernel.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, release, type } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { writePcap } from "@flowtriq/detection/pcap";
import { frames } from "@flowtriq/lab/ring";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { AgentEvent, type AgentEventOf } from "@flowtriq/protocol/event";
import type { Observation } from "@flowtriq/protocol/observation";
import { AGENT_PATHS, EnrollResponse, type Report } from "@flowtriq/protocol/wire";
import { type DemoSettings, type End, endAll, listenForStored, receive, WIREGUARD_PORT } from "./demonstration.ts";
import { ROOT } from "./services.mjs";
import { inWords, momentOf, Timeline } from "./timeline.ts";

const ETHERNET_LINK = 1;
/** Small enough for any laptop, far above the threshold of a port that carries no tunnels. */
const CAPTURE = { calmSeconds: 4, calmPps: 4, attackSeconds: 6, attackPps: 8000 };
const VERSION = "recorded";

interface Played {
  startedAt: number;
  /** Packets and bytes of each second of the capture. */
  seconds: { packets: number; bytes: number }[];
  events: AgentEvent[];
}

/** Reports a capture's events through ingest in real time, then quiet seconds until `leave` resolves. */
export async function replayRecorded(settings: DemoSettings, leave: Promise<void>): Promise<void> {
  mkdirSync(settings.dir, { recursive: true, mode: 0o700 });
  const undo: End[] = [];
  try {
    const timeline = new Timeline((line) => console.log(line));
    const receiver = await receive(settings, timeline);
    undo.push(() => receiver.stop());
    const listening = await listenForStored(settings.databaseUrl, timeline);
    undo.push(() => listening.end());
    const key = await enrol(settings);
    const { startedAt, seconds, events } = await play(settings.dir);
    const first = events.find((event): event is AgentEventOf<"attack.started"> => event.event === "attack.started");
    if (!first) throw new Error("The recorded capture shows no attack: the detector or the generators have changed.");
    console.log(
      "  Demonstration without root: a capture, judged by the code that runs on a node. Nothing is dropped here,",
    );
    console.log("  and there are no tunnels to lose. As root it runs a real WireGuard server under a real attack.\n");
    timeline.begin(Date.parse(first.firstPacketAt), "first attack packet of the capture");
    for (let second = 1; ; second += 1) {
      const at = startedAt + second * 1000;
      const left = await Promise.race([leave.then(() => true), untilTime(at).then(() => false)]);
      if (left) return;
      const due = events.filter((event) => Date.parse(event.at) <= at && Date.parse(event.at) > at - 1000);
      for (const event of due) timeline.add(momentOf(event), inWords(event) ?? event.event);
      await report(settings.ingestUrl, key, due, observationOf(at, seconds[second - 1], events));
    }
  } finally {
    await endAll(undo);
  }
}

/** Writes the capture, has the agent judge it, and moves all its times so that it begins now. */
async function play(dir: string): Promise<Played> {
  const pcap = join(dir, "recorded.pcap");
  const records = [...capture()];
  writeFileSync(pcap, writePcap(records, { linkType: ETHERNET_LINK, snapLength: 192 }));
  const program = join(ROOT, "node_modules/.bin", DEFAULT_BRAND.agentName);
  const { stdout } = await promisify(execFile)(program, ["replay", pcap, "--json"], { maxBuffer: 1 << 26 });
  const startedAt = Date.now();
  const seconds: Played["seconds"] = [];
  for (const { at, bytes } of records) {
    const second = seconds[Math.floor(at / 1000)] ?? { packets: 0, bytes: 0 };
    seconds[Math.floor(at / 1000)] = { packets: second.packets + 1, bytes: second.bytes + bytes.length };
  }
  const run = randomUUID().replaceAll("-", "").slice(0, 16);
  const events = stdout
    .split("\n")
    .filter((line) => line !== "" && !line.includes('"replay.summary"'))
    .map((line) => AgentEvent.parse(JSON.parse(line, (key, value) => renewed(key, value, startedAt, run))));
  return { startedAt, seconds, events };
}

/** Every time moves by the same span, and every run has attacks and events of its own. */
function renewed(key: string, value: unknown, startedAt: number, run: string): unknown {
  if (typeof value !== "string") return value;
  if (key === "at" || key.endsWith("At")) return new Date(Date.parse(value) + startedAt).toISOString();
  if (key === "id" && value.startsWith("evt_replay")) return `evt_${run}${value.slice(-8)}`;
  if (key === "attack") return `atk_${run}${value.slice(-6)}`;
  return value;
}

/** Times in milliseconds from the capture's beginning. */
function* capture(): Generator<{ at: number; bytes: Uint8Array }> {
  const to = {
    family: 4 as const,
    sources: "random" as const,
    destination: "10.99.0.1",
    sourceMac: "02:00:00:00:0a:7c",
    destinationMac: "02:00:00:00:00:01",
    port: WIREGUARD_PORT,
  };
  const { calmSeconds, calmPps, attackSeconds, attackPps } = CAPTURE;
  let at = 0;
  for (const bytes of frames({ ...to, attack: "wireguard_initiation", seed: 1 }, calmSeconds * calmPps)) {
    yield { at, bytes };
    at += 1000 / calmPps;
  }
  for (const bytes of frames({ ...to, attack: "udp_random", seed: 2 }, attackSeconds * attackPps)) {
    yield { at, bytes };
    at += 1000 / attackPps;
  }
}

/** One second as a node counts it. What the rules met is spread evenly over the seconds in which they stood. */
function observationOf(at: number, counted: Played["seconds"][number] | undefined, events: AgentEvent[]): Observation {
  const { packets, bytes } = counted ?? { packets: 0, bytes: 0 };
  const applied = events.find((event) => event.event === "mitigation.applied");
  const ended = events.find((event): event is AgentEventOf<"attack.ended"> => event.event === "attack.ended");
  const mitigated = applied && ended && Date.parse(applied.at) < at && Date.parse(ended.at) > at - 1000;
  const share = mitigated ? ended.droppedPackets / Math.max(1, ended.packets) : 0;
  const dropped = Math.round(packets * share);
  const bps = bytes * 8;
  const rates = { pps: packets, bps, droppedPps: dropped };
  return {
    at: new Date(at).toISOString(),
    ...rates,
    passedPps: packets - dropped,
    passedBps: Math.round(bps * (1 - share)),
    tunnels: null,
    lanes: packets > 0 ? [{ lane: ended?.lane ?? `udp:${WIREGUARD_PORT}:malformed`, ...rates }] : [],
  };
}

async function enrol({ dir, ingestUrl, enrolmentToken }: DemoSettings): Promise<string> {
  const file = join(dir, "recorded-node.json");
  const known = existsSync(file)
    ? (JSON.parse(readFileSync(file, "utf8")) as { key: string; machineId: string })
    : undefined;
  if (known) return known.key;
  const machineId = randomUUID();
  const answer = await post(ingestUrl, AGENT_PATHS.enroll, {
    token: enrolmentToken,
    machineId,
    hostname: hostname(),
    agentVersion: VERSION,
    kernel: `${type()} ${release()}`,
    ports: [{ port: WIREGUARD_PORT, transport: "udp", protocol: "wireguard", strictness: "auto" }],
  });
  const { nodeKey } = EnrollResponse.parse(answer);
  writeFileSync(file, JSON.stringify({ key: nodeKey, machineId }), { mode: 0o600 });
  return nodeKey;
}

async function report(url: string, key: string, events: AgentEvent[], observation: Observation): Promise<void> {
  const body: Report = {
    sentAt: new Date().toISOString(),
    agentVersion: VERSION,
    appliedRevision: 0,
    events,
    observations: [observation],
  };
  await post(url, AGENT_PATHS.report, body, key);
}

async function post(url: string, path: string, body: unknown, key?: string): Promise<unknown> {
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`ingest answered ${response.status} to ${path}: ${await response.text()}`);
  return response.json();
}

const untilTime = (at: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())));
