// The demonstration as root: a VPN server with live tunnels, a real attack on it, and what happened in milliseconds.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Delivery, type Receiver, startReceiver } from "@flowtriq/fakes/receiver";
import { flood } from "@flowtriq/lab/flood";
import { Link } from "@flowtriq/lab/link";
import { createTopology, start, sweep, type Topology } from "@flowtriq/lab/namespaces";
import { combine, type ProbeResult, probe } from "@flowtriq/lab/probe";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import postgres from "postgres";
import { ROOT } from "./services.mjs";
import { followEvents, grouped, inWords, momentOf, Timeline } from "./timeline.ts";

export const WIREGUARD_PORT = 51820;
const ATTACK = { attack: "udp_random", pps: 250_000, seconds: 6, port: WIREGUARD_PORT } as const;
const HOSTNAME = "fra-01";
const CALM_MS = 3000;
const AFTER_MS = 2000;
const EVENT_DEADLINE_MS = 90_000;

export interface DemoSettings {
  /** Name of the lab: its namespaces begin with it. */
  lab: string;
  /** Where the agent keeps its state, its configuration and its events. */
  dir: string;
  ingestUrl: string;
  databaseUrl: string;
  enrolmentToken: string;
  receiver: { port: number; webhookSecret: string };
}

export type End = () => unknown;

/** Plays the attack once, then keeps the lab alive until `leave` resolves. */
export async function demonstrate(settings: DemoSettings, leave: Promise<void>): Promise<void> {
  const undo: End[] = [];
  const left = leave.then(() => "left" as const);
  try {
    mkdirSync(settings.dir, { recursive: true, mode: 0o700 });
    await sweep(settings.lab);
    const lab = await createTopology({ prefix: settings.lab, clients: 2, management: true });
    undo.push(() => lab.destroy());
    const wireguard = await startWireguard(lab, { port: ATTACK.port });
    undo.push(() => wireguard.stop());
    const timeline = new Timeline((line) => console.log(line));
    const receiver = await receive(settings, timeline);
    undo.push(() => receiver.stop());
    const listening = await listenForStored(settings.databaseUrl, timeline);
    undo.push(() => listening.end());
    const link = await Link.open(settings.ingestUrl, lab.management!.host);
    undo.push(() => link.cut());

    const seen = new Seen();
    let played = false;
    const events = join(settings.dir, "events.jsonl");
    rmSync(events, { force: true });
    const follower = followEvents(events, (event) => {
      seen.add(event);
      // Attacks that somebody adds by hand begin when the agent says.
      if (played && event.event === "attack.started") {
        console.log();
        timeline.begin(Date.parse(event.firstPacketAt), "first attack packet, as the agent reckons it");
      }
      const words = inWords(event);
      if (words) timeline.add(momentOf(event), words);
    });
    undo.push(() => follower.close());
    const agent = runAgent(settings, lab, link, events);
    undo.push(() => end(agent));
    const agentEnded = once(agent, "exit").then(([code]) => {
      const log = readFileSync(join(settings.dir, "agent.log"), "utf8").trimEnd().split("\n").slice(-10).join("\n");
      throw new Error(`${DEFAULT_BRAND.agentName} ended with ${code}:\n${log}`);
    });
    agentEnded.catch(() => {});
    const step = <T>(work: Promise<T>) => Promise.race([work, left, agentEnded]);

    const ready = await step(seen.next("agent.ready"));
    if (ready === "left") return;
    console.log(
      `  Demonstration: a WireGuard server with ${wireguard.clients.length} connected clients, ${DEFAULT_BRAND.agentName} in mode ${ready.mode}.`,
    );
    const probes = wireguard.clients.map((client) =>
      probe({ namespace: client.host.namespace, target: wireguard.address[4] }),
    );
    undo.push(() => Promise.all(probes.map((one) => one.stop())));
    if ((await step(Promise.all(probes.map((one) => one.answered)))) === "left") return;
    if ((await step(pause(CALM_MS))) === "left") return;

    console.log(
      `  ${grouped(ATTACK.pps)} packets/s of random UDP against port ${ATTACK.port}, for ${ATTACK.seconds} s:\n`,
    );
    const attack = await flood(lab, ATTACK);
    undo.push(() => attack.stop().catch(() => {}));
    timeline.begin(attack.firstPacketAt, "first attack packet");
    const over = step(seen.next("attack.ended"));
    const sent = await step(attack.result);
    if (sent === "left") return;
    timeline.add(
      attack.firstPacketAt + sent.seconds * 1000,
      `last attack packet: ${grouped(sent.sent)} sent, ${grouped(sent.pps)} packets/s`,
    );
    timeline.flush();
    console.log(`${" ".repeat(14)}(rules stay until it has been quiet for ${DEFAULT_POLICY.quietSeconds} s)`);
    const ended = await Promise.race([over, pause(EVENT_DEADLINE_MS).then(() => undefined)]);
    if (ended === "left") return;
    if ((await step(pause(AFTER_MS))) === "left") return;
    const pings = combine(await Promise.all(probes.map((one) => one.stop())));
    timeline.flush();
    console.log(`\n${verdict(ended, pings, receiver)}\n`);

    for (const { host } of wireguard.clients) {
      const argv = ["ping", "-q", "-i", "0.25", wireguard.address[4]];
      const ping = start(host.namespace, argv, { stdio: "ignore" });
      undo.push(() => end(ping));
    }
    console.log(
      `  The server and its clients stay up. Attack them again from another terminal: npm run attack -- dns_amplification\n`,
    );
    played = true;
    await Promise.race([left, agentEnded]);
  } finally {
    await endAll(undo);
  }
}

function verdict(ended: AgentEventOf<"attack.ended"> | undefined, pings: ProbeResult, receiver: Receiver): string {
  const lost = `${pings.lost} of ${grouped(pings.sent)} pings through the tunnels lost, longest gap ${grouped(pings.longestGapMs)} ms`;
  if (!ended) return `  The agent did not report the end of the attack within ${EVENT_DEADLINE_MS / 1000} s. ${lost}.`;
  const { usersDisconnected, tunnelsBefore, tunnelsLowest, tunnelsAfter } = ended;
  const tunnels = `tunnels before ${tunnelsBefore ?? "unknown"}, lowest ${tunnelsLowest ?? "unknown"}, after ${tunnelsAfter ?? "unknown"}`;
  return [
    `  users disconnected: ${usersDisconnected ?? "unknown"}   (${tunnels}; ${lost})`,
    `  alerts delivered: ${receiver.deliveries.length}`,
  ].join("\n");
}

/** Remembers events, so that one that came before anybody asked is not missed. */
class Seen {
  readonly #events: { event: string }[] = [];
  #wake: (() => void)[] = [];

  add(event: { event: string }): void {
    this.#events.push(event);
    for (const wake of this.#wake.splice(0)) wake();
  }

  async next<K extends Parameters<typeof inWords>[0]["event"]>(kind: K): Promise<AgentEventOf<K>> {
    for (let from = 0; ; ) {
      for (; from < this.#events.length; from += 1) {
        if (this.#events[from]?.event === kind) return this.#events[from] as AgentEventOf<K>;
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}

/** Where the alerts go: a local stand-in for Slack and for a customer's webhook. */
export async function receive({ receiver }: DemoSettings, timeline: Timeline): Promise<Receiver> {
  const onDelivery = (delivery: Delivery) =>
    timeline.add(
      delivery.receivedAt.getTime(),
      delivery.kind === "slack"
        ? `alert delivered (Slack): ${delivery.message.text ?? ""}`
        : "alert delivered (signed webhook)",
    );
  return startReceiver({ ...receiver, onDelivery });
}

/** Postgres tells of incidents when their transaction has committed. */
export async function listenForStored(url: string, timeline: Timeline) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const stored = new Set<string>();
  await sql.listen("live", (text) => {
    const { frame } = JSON.parse(text) as { frame: { type: string; incidentId?: string } };
    if (frame.type !== "incident" || !frame.incidentId || stored.has(frame.incidentId)) return;
    stored.add(frame.incidentId);
    timeline.add(Date.now(), "incident stored, shown on open dashboards");
  });
  return sql;
}

function runAgent(settings: DemoSettings, lab: Topology, link: Link, events: string): ChildProcess {
  const config = {
    interfaces: ["eth0"],
    ports: [{ port: ATTACK.port, transport: "udp", protocol: "wireguard" }],
    mode: "enforce",
    stateDir: join(settings.dir, "state"),
    service: { url: link.url, token: settings.enrolmentToken },
  };
  const file = join(settings.dir, "agent.json");
  writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  const log = openSync(join(settings.dir, "agent.log"), "w", 0o600);
  const program = join(ROOT, "node_modules/.bin", DEFAULT_BRAND.agentName);
  // A host name of its own: the dashboard calls the node by it.
  const named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', HOSTNAME];
  const argv = [...named, program, "run", "--config", file, "--events", events];
  return start(lab.concentrator.namespace, argv, { stdio: ["ignore", log, log] });
}

/** Last first; one that fails does not keep the others. */
export async function endAll(steps: End[]): Promise<void> {
  for (const step of steps.reverse()) {
    try {
      await step();
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
