/**
 * `npm run bench -- peers`: the agent beside FastNetMon Community (Debian's package), on the same host, the same interface and the same
 * flood of 100,000 packets a second, RUNS (10) times: how soon each knows of it, what each costs and holds. FastNetMon once as its package
 * configures it and once tuned for speed. Both see every packet: it listens in front of the agent's hook.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { createTopology, start } from "@flowtriq/lab/namespaces";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { agentCommand, startAgent } from "../agent/agent.ts";
import { line, one, quantile } from "./figures.ts";
import { cpuPercent, type Footprint, footprint } from "./process.ts";

const RUNS = Number(process.env.RUNS ?? 10);
const FLOOD = { attack: "udp_random", pps: 100_000, seconds: 5, port: 51820 } as const;
const CONFIG = {
  interfaces: ["eth0"],
  ports: [{ port: 51820, transport: "udp", protocol: "wireguard" }],
  mode: "enforce",
};
/** What differs from the package's own configuration: where it listens, what it watches, and that it calls nobody. */
const FASTNETMON = {
  interfaces: "eth0",
  mirror_afpacket: "on",
  disable_usage_report: "on",
  process_outgoing_traffic: "off",
};
const TUNED = { threshold_pps: "6000", average_calculation_time: "1" };

if (process.getuid?.() !== 0) {
  console.error("This needs root: network namespaces and rules.");
  process.exit(1);
}
const version = fastnetmonVersion();
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"));
const lab = await createTopology({ clients: 1 });
try {
  await startWireguard(lab);
  console.log(
    `FastNetMon ${version}, ${Math.round(FLOOD.pps / 1000)} kpps of random UDP, ${os.cpus().length} cores for everything`,
  );
  for (const [name, settings] of [
    ["as packaged", {}],
    ["tuned", TUNED],
  ] as const) {
    const ours: number[] = [];
    const theirs: number[] = [];
    const costs = { ours: [] as number[], theirs: [] as number[], oursMb: [] as number[], theirsMb: [] as number[] };
    for (let run = 0; run < RUNS; run++) {
      const notified = path.join(dir, `notified-${name}-${run}`);
      const other = await startFastnetmon(settings, notified);
      const agent = await startAgent(lab, CONFIG);
      await delay(2_000);
      const running = await flood(lab, { ...FLOOD, seed: run });
      const began = running.firstPacketAt;
      await delay(2_500);
      const before = [footprint(agent.pid), footprint(other.pid!)] as const;
      await running.result;
      const after = [footprint(agent.pid), footprint(other.pid!)] as const;
      const started = agent.events().find(({ event }) => event === "attack.started");
      ours.push(started ? Date.parse(started.at) - began : Number.POSITIVE_INFINITY);
      theirs.push(
        fs.existsSync(notified) ? Number(fs.readFileSync(notified, "utf8")) / 1e6 - began : Number.POSITIVE_INFINITY,
      );
      note(costs.ours, costs.oursMb, before[0], after[0]);
      note(costs.theirs, costs.theirsMb, before[1], after[1]);
      await agent.end("SIGKILL");
      await agentCommand(lab, "withdraw", "--all");
      other.kill("SIGKILL");
      await once(other, "exit");
    }
    const median = (values: number[]) => quantile(values, 0.5);
    console.log(`FastNetMon ${name}:`);
    console.log(line("agent: first attack packet -> attack.started", ours, "ms", ""));
    console.log(line("FastNetMon: -> its notify script", theirs, "ms", ""));
    console.log(one("times sooner, medians", (median(theirs) / median(ours)).toFixed(0), "20"));
    const percent = (values: number[]) => `${median(values).toFixed(2)} %`;
    console.log(
      one("CPU at that rate, agent / FastNetMon", `${percent(costs.ours)} / ${percent(costs.theirs)}`, "not more"),
    );
    const megabytes = `${median(costs.oursMb).toFixed(1)} / ${median(costs.theirsMb).toFixed(0)} MB`;
    console.log(
      one(
        "memory, agent / FastNetMon",
        `${megabytes}, 1/${(median(costs.theirsMb) / median(costs.oursMb)).toFixed(1)}`,
        "1/8",
      ),
    );
  }
} finally {
  await lab.destroy();
  fs.rmSync(dir, { recursive: true, force: true });
}

function note(cpu: number[], memory: number[], from: Footprint, to: Footprint): void {
  cpu.push(cpuPercent(from, to));
  memory.push(to.residentMb);
}

async function startFastnetmon(settings: Record<string, string>, notified: string) {
  const file = (name: string, text: string, mode = 0o600) => {
    const target = path.join(dir, name);
    fs.writeFileSync(target, text, { mode });
    return target;
  };
  const wanted: Record<string, string> = {
    ...FASTNETMON,
    ...settings,
    networks_list_path: file("networks", "10.99.0.1/32\n"),
    white_list_path: file("whitelist", ""),
    notify_script_path: file("notify.sh", `#!/bin/sh\n[ -e "${notified}" ] || date +%s%N > "${notified}"\n`, 0o700),
  };
  const packaged = fs.readFileSync("/etc/fastnetmon.conf", "utf8");
  const kept = packaged.split("\n").filter((entry) => !(entry.split("=")[0]!.trim() in wanted));
  const own = Object.entries(wanted).map(([key, value]) => `${key} = ${value}`);
  const argv = ["fastnetmon", "--disable_pid_logic", "--log_to_console"];
  const configured = ["--configuration_file", file("fastnetmon.conf", [...kept, ...own, ""].join("\n"))];
  const child = start(lab.concentrator.namespace, [...argv, ...configured], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise<void>((ready, fail) => {
    const read = (text: string) => {
      said += text;
      if (/AF_PACKET|we will listen|Run banlist/i.test(said)) ready();
    };
    child.stdout!.setEncoding("utf8").on("data", read);
    child.stderr!.setEncoding("utf8").on("data", read);
    child.once("exit", (code) => fail(new Error(`FastNetMon ended with ${code}: ${said.slice(-2000)}`)));
  });
  return child;
}

function fastnetmonVersion(): string {
  try {
    return execFileSync("dpkg-query", ["-W", "-f", "$" + "{Version}", "fastnetmon"], { encoding: "utf8" });
  } catch {
    console.error("FastNetMon is not installed. As root: apt-get install --no-install-recommends fastnetmon");
    process.exit(1);
  }
}
