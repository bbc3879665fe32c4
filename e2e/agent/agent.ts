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
  stateDir: string;
  configFile: string;
};

/** Runs the agent on the lab's concentrator until it is ready. `home` keeps state between two runs. */
export async function startAgent(lab: Topology, config: object, home = makeHome()): Promise<RunningAgent> {
  const stateDir = path.join(home, "state");
  const configFile = path.join(home, "config.json");
  const eventsFile = path.join(home, `events-${fs.readdirSync(home).length}.jsonl`);
  fs.writeFileSync(configFile, JSON.stringify({ stateDir, ...config }));
  const child = start(lab.concentrator.namespace, [AGENT, "run", "--config", configFile, "--events", eventsFile], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const agent = watch(child, eventsFile, () => said);
  const running = { ...agent, pid: child.pid!, stateDir, configFile };
  await running.waitFor("agent.ready", undefined, 15_000);
  return running;
}

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
function readEvents(file: string): AgentEvent[] {
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
