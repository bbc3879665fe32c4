/**
 * `npm run bench -- idle`: what the agent costs in peace, in processor time by the scheduler's own account and in memory: with
 * two tunnels that are nearly silent, and with fifty packets a second through them. IDLE_SECONDS of each (60).
 */
import { setTimeout as delay } from "node:timers/promises";
import { createTopology } from "@flowtriq/lab/namespaces";
import { probe } from "@flowtriq/lab/probe";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { MINIMAL, startAgent } from "../agent/agent.ts";
import { one } from "./figures.ts";
import { footprint, scheduledMs } from "./process.ts";

const SECONDS = Number(process.env.IDLE_SECONDS ?? 60);
const SETTLE_SECONDS = 15;

if (process.getuid?.() !== 0) {
  console.error("This needs root: network namespaces, tunnels and rules.");
  process.exit(1);
}
const lab = await createTopology({ clients: 2 });
try {
  const wireguard = await startWireguard(lab);
  const agent = await startAgent(lab, MINIMAL);
  await delay(SETTLE_SECONDS * 1000);
  await measure("with two silent tunnels", agent.pid);
  const probes = wireguard.clients.map((client) =>
    probe({ namespace: client.host.namespace, target: wireguard.address[4], intervalMs: 40 }),
  );
  await Promise.all(probes.map((running) => running.answered));
  await delay(SETTLE_SECONDS * 1000);
  await measure("with 50 packets a second", agent.pid);
  await Promise.all(probes.map((running) => running.stop()));
  await agent.end("SIGTERM");
  await wireguard.stop();
} finally {
  await lab.destroy();
}

async function measure(what: string, pid: number): Promise<void> {
  const [from, before] = [performance.now(), scheduledMs(pid)];
  await delay(SECONDS * 1000);
  const percent = ((scheduledMs(pid) - before) / (performance.now() - from)) * 100;
  const { residentMb, privateMb } = footprint(pid);
  console.log(one(`processor, ${what}`, `${percent.toFixed(3)} % of a core`, "<= 0.3 %"));
  const memory = `${residentMb.toFixed(1)} MB resident, ${privateMb.toFixed(2)} private`;
  console.log(one(`memory, ${what}`, memory, "<= 45 and <= 10 MB"));
}
