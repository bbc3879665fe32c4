import { execFile, execFileSync } from "node:child_process";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import { promisify } from "node:util";
import { AgentConfig } from "@flowtriq/protocol/config";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { Agent } from "./agent.ts";
import { packetSocket } from "./libc.ts";
import { attack, CLIENT, JUNK_PPS, PORT, RESPONSE, RESPONSE_TO, SERVER } from "./made-up.ts";
import { type InsideReport, SENDER, TEST_PORT, type Trial } from "./self-test.ts";
import { Sink } from "./sink.ts";
import { StateDir } from "./state.ts";
import { nft, toolEnv } from "./system.ts";

const OUTSIDE = "probe1";
const INTERFACE = "probe0";
const OUTSIDE_MAC = [2, 0, 0, 0, 0, 2];
const INTERFACE_MAC = [2, 0, 0, 0, 0, 1];
const mac = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
const METER = "self_test_meter";
const IPV4 = [8, 0];
const BATCH = 20;
const DETECT_WITHIN_MS = 30_000;
const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs in a network namespace that nobody else has; prints what it saw as JSON. `outer` is the number of the host's namespace. */
export async function inside(outer: string, dir: string): Promise<void> {
  // Whoever started us is gone: so are we, and the namespace with us.
  process.stdin
    .on("end", () => leave(dir, 1))
    .on("error", () => leave(dir, 1))
    .resume();
  const report: InsideReport =
    String(fs.statSync("/proc/self/ns/net").ino) === outer
      ? { cannot: "this is the host's own network namespace" }
      : await tryIt(dir);
  process.stdout.write(JSON.stringify(report), () => leave(dir, 0));
}

function leave(dir: string, code: number): never {
  fs.rmSync(dir, { recursive: true, force: true });
  process.exit(code);
}

async function tryIt(dir: string): Promise<InsideReport> {
  try {
    connect();
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    return { cannot: (stderr?.trim() || message).split("\n")[0]! };
  }
  const told: AgentEvent[] = [];
  const sink = new Sink({ file: `${dir}/events`, onEvent: (event) => told.push(event) });
  const config = AgentConfig.parse({ interfaces: [INTERFACE], ports: [TEST_PORT], mode: "enforce", stateDir: dir });
  const agent = new Agent({ config, state: new StateDir(dir), sink });
  await agent.start();
  // Imported here, as is all that a running agent does not need.
  const server = (await import("node:dgram")).createSocket("udp4");
  try {
    await teach(server);
    return { trial: await assail(told) };
  } finally {
    server.close();
    agent.stop("self-test");
  }
}

/** Two ends of one cable, and a count of what gets past the agent's hook. */
function connect(): void {
  const ip = (line: string) => execFileSync("ip", line.split(" "), { env: toolEnv, encoding: "utf8", stdio: "pipe" });
  ip("link set lo up");
  ip(`link add ${INTERFACE} address ${mac(INTERFACE_MAC)} type veth peer name ${OUTSIDE} address ${mac(OUTSIDE_MAC)}`);
  ip(`addr add ${SERVER.join(".")}/24 dev ${INTERFACE}`);
  ip(`link set ${INTERFACE} up`);
  ip(`link set ${OUTSIDE} up`);
  ip(`neigh replace ${CLIENT.join(".")} lladdr ${mac(OUTSIDE_MAC)} dev ${INTERFACE} nud permanent`);
  nft(
    ["-f", "-"],
    `table inet ${METER} {
      counter genuine { }
      counter junk { }
      chain passed {
        type filter hook prerouting priority -400; policy accept;
        iifname "${INTERFACE}" udp dport ${PORT} ip saddr ${CLIENT.join(".")} counter name genuine accept
        iifname "${INTERFACE}" udp dport ${PORT} counter name junk
      }
    }\n`,
  );
}

/** The server answers its client once, as after a handshake. */
async function teach(server: Socket): Promise<void> {
  server.on("message", () => {});
  server.bind(PORT, SERVER.join("."));
  await once(server, "listening");
  await new Promise((resolve, reject) =>
    server.send(RESPONSE, RESPONSE_TO.port, RESPONSE_TO.address, (error) =>
      error ? reject(error) : resolve(undefined),
    ),
  );
}

async function assail(told: AgentEvent[]): Promise<Trial> {
  // From a process of its own, as an attacker has one: the agent's loop must not wait for it.
  const { stdout } = await promisify(execFile)(process.execPath, [SENDER], { timeout: DETECT_WITHIN_MS });
  const { from, sent } = JSON.parse(stdout) as { from: number; sent: { junk: number; genuine: number } };
  const deadline = Date.now() + DETECT_WITHIN_MS;
  const find = <K extends AgentEvent["event"]>(kind: K) =>
    told.find((event): event is Extract<AgentEvent, { event: K }> => event.event === kind);
  while (!(find("mitigation.applied") && find("attack.classified")) && Date.now() < deadline) await delay(50);
  const applied = find("mitigation.applied");
  return {
    vector: (find("attack.classified") ?? find("attack.started"))?.vector ?? null,
    detectionMs: applied ? Math.max(0, Date.parse(applied.at) - from) : null,
    junk: { sent: sent.junk, passed: counted("junk") },
    genuine: { sent: sent.genuine, passed: counted("genuine") },
  };
}

/** The attacker: sends the burst at the far end of the cable, never faster than said, and prints when it began. */
export async function send(): Promise<void> {
  const wire = packetSocket(OUTSIDE);
  const sent = { junk: 0, genuine: 0 };
  const burst = [...attack((bytes) => crypto.getRandomValues(bytes))].map(({ kind, packet }) => ({
    kind,
    frame: Uint8Array.from([...INTERFACE_MAC, ...OUTSIDE_MAC, ...IPV4, ...packet]),
  }));
  const from = Date.now();
  for (const { kind, frame } of burst) {
    fs.writeSync(wire, frame);
    sent[kind]++;
    if (sent.junk % BATCH === 0) await delay(Math.max(0, from + (sent.junk * 1_000) / JUNK_PPS - Date.now()));
  }
  fs.closeSync(wire);
  process.stdout.write(JSON.stringify({ from, sent }));
}

function counted(name: string): number {
  const { nftables } = JSON.parse(nft(["-j", "list", "counter", "inet", METER, name])) as {
    nftables: { counter?: { packets: number } }[];
  };
  return nftables.find(({ counter }) => counter)?.counter?.packets ?? 0;
}
