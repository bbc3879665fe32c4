import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { run, start, type Topology } from "@flowtriq/lab/namespaces";
import { AgentEvent, type AgentEventOf } from "@flowtriq/protocol/event";

/** The agent as an operator has it: the compiled file that `npm run setup` leaves in node_modules/.bin. */
export const AGENT = fileURLToPath(new URL("../../node_modules/.bin/ftagent", import.meta.url));
export const TABLE = "ftagent";

export const MINIMAL = {
  interfaces: ["eth0"],
  ports: [{ port: 51820, transport: "udp", protocol: "wireguard" }],
  mode: "enforce",
};

/** A port of each protocol that the lab can attack. */
export const EVERY_PROTOCOL = {
  ...MINIMAL,
  ports: [
    { port: 51820, transport: "udp", protocol: "wireguard" },
    { port: 1194, transport: "udp", protocol: "openvpn" },
    { port: 500, transport: "udp", protocol: "ike" },
    { port: 4500, transport: "udp", protocol: "ipsec_nat_t" },
    { port: 443, transport: "tcp", protocol: "openvpn" },
  ],
};

export type RunningAgent = {
  pid: number;
  events(): AgentEvent[];
  /** The first event of this kind that passes; waits for it. Rejects when the agent ends or the time is over. */
  waitFor<K extends AgentEvent["event"]>(
    kind: K,
    passes?: (event: AgentEventOf<K>) => boolean,
    timeoutMs?: number,
  ): Promise<AgentEventOf<K>>;
  /** Ends it with a signal, and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  signal(signal: NodeJS.Signals): void;
  stateDir: string;
  configFile: string;
  eventsFile: string;
};

/**
 * Runs the agent on the lab's concentrator until it is ready. `home` keeps state between two runs; each run has an events file of
 * its own unless one is named.
 */
export async function startAgent(
  lab: Topology,
  config: object,
  home = makeHome(),
  { eventsFile = path.join(home, `events-${fs.readdirSync(home).length}.jsonl`), env = {} }: StartOptions = {},
): Promise<RunningAgent> {
  const stateDir = path.join(home, "state");
  const configFile = path.join(home, "config.json");
  const before = new Set(readEvents(eventsFile).map(({ id }) => id));
  fs.writeFileSync(configFile, JSON.stringify({ stateDir, ...config }));
  const child = start(lab.concentrator.namespace, [AGENT, "run", "--config", configFile, "--events", eventsFile], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const agent = watch(child, eventsFile, () => said);
  const running = { ...agent, pid: child.pid!, stateDir, configFile, eventsFile };
  await running
    .waitFor("agent.ready", ({ id }) => !before.has(id), 15_000)
    .catch(async (error) => {
      await agent.end("SIGKILL");
      throw error;
    });
  return running;
}

export type StartOptions = { eventsFile?: string; env?: Record<string, string> };

export const makeHome = (): string => fs.mkdtempSync(path.join(os.tmpdir(), "agent-"));

function watch(child: ChildProcess, eventsFile: string, said: () => string) {
  const events = () => readEvents(eventsFile);
  return {
    events,
    async waitFor<K extends AgentEvent["event"]>(
      kind: K,
      passes: (event: AgentEventOf<K>) => boolean = () => true,
      timeoutMs = 10_000,
    ): Promise<AgentEventOf<K>> {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const found = events().find(
          (event): event is AgentEventOf<K> => event.event === kind && passes(event as AgentEventOf<K>),
        );
        if (found) return found;
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the agent ended: ${said()}`);
        if (Date.now() > deadline) {
          throw new Error(
            `no ${kind} within ${timeoutMs} ms; seen: ${events()
              .map(({ event }) => event)
              .join(", ")} ${said()}`,
          );
        }
        await delay(10);
      }
    },
    signal(signal: NodeJS.Signals) {
      child.kill(signal);
    },
    async end(signal: NodeJS.Signals): Promise<number | null> {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await once(child, "exit");
      }
      return child.exitCode;
    },
  };
}

/** Every line must be a whole event of the contract. */
export function readEvents(file: string): AgentEvent[] {
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => AgentEvent.parse(JSON.parse(line)));
}

/** Does the agent's table stand in the concentrator's kernel? */
export async function tableStands(lab: Topology): Promise<boolean> {
  const { stdout } = await run(lab.concentrator.namespace, ["nft", "list", "tables"]);
  return stdout.includes(`inet ${TABLE}`);
}

/** All of the concentrator's rules but ours. */
export async function othersRules(lab: Topology): Promise<string> {
  const { stdout } = await run(lab.concentrator.namespace, ["nft", "list", "ruleset"]);
  return stdout
    .split(/^(?=table )/m)
    .filter((table) => !table.startsWith(`table inet ${TABLE}`) && !table.startsWith("table inet lab_meter"))
    .join("");
}

/** Runs a command of the agent on the concentrator. */
export const agentCommand = (lab: Topology, ...argv: string[]) => run(lab.concentrator.namespace, [AGENT, ...argv]);

/** The same, whatever its exit code. */
export const agentAnswer = (lab: Topology, ...argv: string[]): Promise<Answer> =>
  agentCommand(lab, ...argv).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
export type Answer = { code: number; stdout: string; stderr: string };

/** Our table as the kernel holds it, without what its sets and counters hold; in an order of our own, for that of chains means nothing. */
export async function ourRules(lab: Topology): Promise<string> {
  const { stdout } = await run(lab.concentrator.namespace, ["nft", "-s", "-t", "list", "table", "inet", TABLE]);
  const blocks = stdout.match(/^\t\S[^\n]*\{\n[\s\S]*?^\t\}/gm) ?? [];
  return [stdout.split("\n")[0], ...(/^\tflags .*$/m.exec(stdout) ?? []), ...blocks.sort()].join("\n");
}
