/**
 * `npm run bench -- war`: what the agent costs while it is attacked, in processor time by the scheduler's own account and in memory, on a
 * concentrator with a WireGuard, an OpenVPN and a strongSwan server and 60 tunnels, each pinged once a second: in peace, at 300,000 and
 * at 800,000 packets a second from random sources (SECONDS, 60, of each), then MINUTES (10) of the last, memory every 30 s. The flood is made
 * where the interface would receive it (lab/inject.ts), on the last processor, because no sender reaches such a rate beside its receiver;
 * the rate that was reached is told. RATES (300000,800000), ATTACK (udp_random), PORT (the attack's own). Takes some 14 minutes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ATTACK_NAMES } from "@flowtriq/lab/attacks";
import { injectFlood } from "@flowtriq/lab/inject";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology } from "@flowtriq/lab/namespaces";
import { combine } from "@flowtriq/lab/probe";
import { EVERY_PROTOCOL, startAgent } from "../agent/agent.ts";
import { one } from "./figures.ts";
import { type Footprint, footprint, spentMs } from "./process.ts";
import { needRoot } from "./program.ts";
import { PROTOCOLS, startVpns } from "./tunnels.ts";

const SECONDS = Number(process.env.SECONDS ?? 60);
const MINUTES = Number(process.env.MINUTES ?? 10);
const RATES = (process.env.RATES ?? "300000,800000").split(",").map(Number);
const ATTACK = ATTACK_NAMES.find((name) => name === (process.env.ATTACK ?? "udp_random"));
const PORT = process.env.PORT ? { port: Number(process.env.PORT) } : {};
const CLIENTS = 20;
const PING_MS = 1_000;
const SETTLE_SECONDS = 15;
/** Of an attack the first seconds are the judging; they are not what it costs to last. */
const BEGUN_SECONDS = 3;
const MEMORY_EVERY_MS = 30_000;
/** More than this between the first and the last minute, by the slope of all readings, is growth and no rubbish yet to be collected. */
const GROWTH_MB = 1;
const MEMORY_BAR = "<= 45 and <= 10 MB";
const BARS: Record<number, string> = { 300000: "<= 3 %", 800000: "<= 4 %" };

needRoot();
if (!ATTACK) {
  console.error(`ATTACK is one of ${ATTACK_NAMES.join(", ")}.`);
  process.exit(2);
}
const lab = await createTopology({ clients: CLIENTS });
try {
  const vpns = await startVpns(lab);
  const meter = await startMeter(lab, { arrivals: false });
  const agent = await startAgent(lab, EVERY_PROTOCOL);
  const pings = vpns.ping(PING_MS);
  const silent = await pings.answered(20_000);
  if (silent.length > 0) console.log(`  no tunnel: ${silent.join(", ")}`);
  await delay(SETTLE_SECONDS * 1000);
  console.log(`\nwar: ${ATTACK}, ${PROTOCOLS.length * CLIENTS} tunnels\n`);
  const measure = () => ({ spent: spentMs(agent.pid), at: performance.now() });
  const tell = (name: string, from: ReturnType<typeof measure>, bar: string) => {
    const to = measure();
    const percent = (100 * (to.spent - from.spent)) / (to.at - from.at);
    console.log(one(`processor, ${name}`, `${percent.toFixed(3)} % of a core`, bar));
    console.log(one(`memory, ${name}`, megabytes(footprint(agent.pid)), MEMORY_BAR));
  };

  const peace = measure();
  await delay(SECONDS * 1000);
  tell("in peace", peace, "<= 0.3 %");

  for (const [index, pps] of RATES.entries()) {
    const isLast = index === RATES.length - 1;
    const lasts = BEGUN_SECONDS + SECONDS + (isLast ? MINUTES * 60 : 0);
    await meter.reset();
    const { publicKey: serverPublicKey } = vpns.wireguard;
    const running = await injectFlood(lab, { attack: ATTACK, ...PORT, pps, seconds: lasts + 1, serverPublicKey });
    await delay(BEGUN_SECONDS * 1000);
    const begun = await meter.read();
    const from = measure();
    await delay(SECONDS * 1000);
    tell(`at ${pps} pps asked for`, from, BARS[pps] ?? "");
    if (isLast && MINUTES > 0) {
      const long = measure();
      const readings = await memoryFor(MINUTES * 60_000, agent.pid);
      tell(`over ${MINUTES} minutes at that rate`, long, BARS[pps] ?? "");
      for (const kind of ["residentMb", "privateMb"] as const) {
        const grown = slope(readings, kind) * MINUTES * 60_000;
        const [first, last] = [readings[0]![kind], readings.at(-1)![kind]];
        const said = `${grown.toFixed(2)} MB (${first.toFixed(1)} to ${last.toFixed(1)})`;
        const name = kind === "residentMb" ? "resident" : "private";
        console.log(one(`growth of ${name} memory over ${MINUTES} minutes`, said, `none (<= ${GROWTH_MB} MB)`));
      }
    }
    const { sent, seconds } = await running.result;
    const through = (await meter.read()).entered.packets;
    const later = `${through} of ${sent} came through, ${through - begun.entered.packets} after ${BEGUN_SECONDS} s`;
    console.log(one("received", `${Math.round(sent / seconds)} pps; ${later}`, `${pps}`));
    const vectors = agent.events().flatMap((event) => (event.event === "attack.classified" ? event.vector : []));
    console.log(one("called", [...new Set(vectors)].join(" > "), "-"));
    await agent.waitFor("attack.ended", ({ lastSeenAt }) => Date.parse(lastSeenAt) > running.firstPacketAt, 60_000);
  }
  for (const [protocol, results] of Object.entries(await pings.stop())) {
    const { lost, sent } = combine(results);
    console.log(one(`${protocol}: pings lost over all`, `${lost} of ${sent}`, "<= 0.1 %"));
  }
  await agent.end("SIGTERM");
} finally {
  await lab.destroy();
}
process.exit(0);

function megabytes({ residentMb, privateMb }: Footprint): string {
  return `${residentMb.toFixed(1)} MB resident, ${privateMb.toFixed(2)} private`;
}

async function memoryFor(ms: number, pid: number): Promise<Footprint[]> {
  const readings = [footprint(pid)];
  for (const from = performance.now(); performance.now() < from + ms - 1_000; ) {
    await delay(Math.min(MEMORY_EVERY_MS, from + ms - performance.now()));
    const now = footprint(pid);
    readings.push(now);
    console.log(`    ${(((now.atMs - from) / 1000) | 0).toString().padStart(5)} s  ${megabytes(now)}`);
  }
  return readings;
}

/** Megabytes a millisecond, by least squares. */
function slope(readings: Footprint[], kind: "residentMb" | "privateMb"): number {
  const mean = (of: (one: Footprint) => number) => readings.reduce((sum, one) => sum + of(one), 0) / readings.length;
  const [at, value] = [mean(({ atMs }) => atMs), mean((one) => one[kind])];
  return mean((one) => (one.atMs - at) * (one[kind] - value)) / mean(({ atMs }) => (atMs - at) ** 2);
}
