/**
 * `npm run bench -- storm`: genuine WireGuard clients come back in a crowd, in peace and during a flood. First 2,400 handshakes in 10 s,
 * which is no attack; then a carrier's NAT that starts anew while valid handshakes from random sources flood the server, so that
 * everybody behind it is a stranger at once. Clients, server, agent and flood share this machine. CLIENTS (2400), BEHIND (200),
 * PPS (50000).
 */
import { setTimeout as delay } from "node:timers/promises";
import { type CrowdOptions, type Outcome, startCrowd } from "@flowtriq/lab/crowd";
import { flood } from "@flowtriq/lab/flood";
import { createTopology, FAMILIES, type Family } from "@flowtriq/lab/namespaces";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { MINIMAL, startAgent } from "../agent/agent.ts";
import { one } from "./figures.ts";

const CLIENTS = Number(process.env.CLIENTS ?? 2_400);
const BEHIND = Number(process.env.BEHIND ?? 200);
const PPS = Number(process.env.PPS ?? 50_000);
const STORM_MS = 10_000;
/** A newcomer's whole time in the specification: one retry after 5.34 s at most, and a round trip. */
const WITHIN_MS = 6_000;

const lab = await createTopology({ clients: 1 });
try {
  const wireguard = await startWireguard(lab, { clients: [] });
  const host = lab.clients[0]!;

  for (const options of [
    { clients: CLIENTS, family: 4, sources: "own_address" },
    { clients: CLIENTS, family: 6, sources: "own_address" },
    { clients: CLIENTS, family: 4, sources: "one_address" },
  ] satisfies CrowdOptions[])
    await storm(options);
  for (const family of FAMILIES) await natStartsAnew(family);

  /** Everybody connects within ten seconds, to an agent that has seen none of them before. */
  async function storm(options: { clients: number; family: Family; sources: "own_address" | "one_address" }) {
    const agent = await startAgent(lab, MINIMAL);
    const crowd = await startCrowd(lab, wireguard, host, options);
    const outcomes = await crowd.connect({ withinMs: STORM_MS });
    // Until what is above its threshold has been judged.
    await delay(2_000);
    const attacks = agent.events().filter(({ event }) => event === "attack.started").length;
    const place = options.sources === "own_address" ? "of as many places" : "behind one address";
    const name = `${options.clients} clients ${place} in 10 s, IPv${options.family}`;
    console.log(one(`${name}: attacks reported`, `${attacks}`, "0"));
    console.log(one(`${name}: served`, said(outcomes), `${options.clients}`));
    await crowd.stop();
    await agent.end("SIGTERM");
  }

  /** All tunnels behind one address get other ports at once, and begin anew, while a flood of handshakes is on. */
  async function natStartsAnew(family: Family) {
    const agent = await startAgent(lab, { ...MINIMAL, policy: { quietSeconds: 5 } });
    const crowd = await startCrowd(lab, wireguard, host, { clients: BEHIND, family });
    await crowd.connect({ withinMs: 5_000 });
    const attack = { attack: "wireguard_initiation_valid_mac1", pps: PPS, seconds: 60, family } as const;
    const running = await flood(lab, { ...attack, serverPublicKey: wireguard.publicKey });
    await agent.waitFor("mitigation.applied");
    const steady = await crowd.data({ pps: 5, seconds: 3 });
    await crowd.rebind();
    const moved = await crowd.data({ pps: 5, seconds: 3 });
    await crowd.rebind();
    const outcomes = await crowd.connect();
    const again = await crowd.connect();
    const { sent, seconds } = await running.stop();
    const name = `${BEHIND} tunnels behind one IPv${family} address, flood`;
    const inTime = outcomes.filter(({ ms }) => ms !== null && ms <= WITHIN_MS).length;
    console.log(one(`${name}: rate`, `${Math.round(sent / seconds)} pps of handshakes`, "-"));
    console.log(one(`${name}: data lost`, lost(steady), "<= 0.1 %"));
    console.log(one(`${name}: data lost from new ports`, lost(moved), "<= 0.1 %"));
    console.log(one(`${name}: new ports, back within 6 s`, `${inTime} of ${BEHIND}`, ">= 99 %"));
    console.log(one(`${name}: the same`, said(outcomes), "two tries"));
    console.log(one(`${name}: again, from known ports`, said(again), "-"));
    await crowd.stop();
    await agent.waitFor("attack.ended", undefined, 60_000);
    await agent.end("SIGTERM");
  }
} finally {
  await lab.destroy();
}
process.exit(0);

function lost({ sent, accepted }: { sent: number; accepted: number }): string {
  return `${sent - accepted} of ${sent} (${(((sent - accepted) / sent) * 100).toFixed(2)} %)`;
}

/** How many were served, in how many tries; cookies are the server's own defence, late retries this machine's fault. */
function said(outcomes: Outcome[]): string {
  const served = outcomes.flatMap(({ ms }) => ms ?? []);
  const tries = [1, 2, 3].map((n) => outcomes.filter((outcome) => outcome.ms !== null && outcome.tries === n).length);
  const more = served.length - tries.reduce((sum, count) => sum + count, 0);
  const cookies = outcomes.reduce((sum, outcome) => sum + outcome.cookies, 0);
  const late = outcomes.filter(({ longestPauseMs }) => longestPauseMs > 5_400).length;
  const slowest = (Math.max(0, ...served) / 1000).toFixed(2);
  return `${served.length} of ${outcomes.length}, slowest ${slowest} s; at try 1/2/3/later ${[...tries, more].join("/")}; ${cookies} cookies, ${late} late`;
}
