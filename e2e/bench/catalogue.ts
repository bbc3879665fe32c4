/**
 * `npm run bench -- catalogue [LETTER or ATTACK ...]`: the attack catalogue against live WireGuard, OpenVPN and strongSwan servers with CLIENTS
 * (20) tunnels each behind the agent, IPv4 and IPv6: what each attack is called, when its first packet was dropped, what came
 * through before and after the rules stood, what the tunnels lost; at the end the worst of all beside the bars. Letters choose parts of it.
 * An attack's name makes that attack from random, from a thousand and from one source; `attacks` all of them. PPS (200000, from two senders;
 * told is what was sent), SECONDS (3; trickles 15), FAMILIES (4,6), SOURCES (random,few,one). The letters take some 25 minutes, all attacks 35.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ATTACK_NAMES } from "@flowtriq/lab/attacks";
import { onSeconds } from "@flowtriq/lab/flood";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, type Family, ip } from "@flowtriq/lab/namespaces";
import { agentCommand, EVERY_PROTOCOL, startAgent } from "../agent/agent.ts";
import { against, CASES, type Case, LETTERS, nameOf } from "./catalogue/cases.ts";
import { type Counts, HEADER, judgePings, type Outcome, row, summary } from "./catalogue/outcome.ts";
import { sniffHandshakes, sniffSession } from "./catalogue/sniff.ts";
import { needRoot } from "./program.ts";
import { floodTogether } from "./together.ts";
import { startVpns } from "./tunnels.ts";

const CLIENTS = Number(process.env.CLIENTS ?? 20);
const PPS = Number(process.env.PPS ?? 200_000);
const SECONDS = Number(process.env.SECONDS ?? 3);
/** Starved servers are noticed within ten seconds. */
const TRICKLE_SECONDS = Math.max(SECONDS, 15);
const PULSED_SECONDS = Math.max(SECONDS, 6);
const FAMILIES = (process.env.FAMILIES ?? "4,6").split(",").map(Number) as Family[];
const SOURCES = (process.env.SOURCES ?? "random,few,one").split(",");
const PING_MS = 200;
/** Whoever has no answer in the last two of these is lost. */
const AFTER_MS = 2_500;
const ALIVE_MS = 2_000;
const SETTLE_MS = 1_000;
const CARPETS = { 4: "198.51.100.0/24", 6: "2001:db8:ca::/120" };
const CONFIG = { ...EVERY_PROTOCOL, policy: { quietSeconds: 5, leaseSeconds: 15 } };

const wanted = process.argv.slice(2);
const cases = wanted.length > 0 ? wanted.flatMap(casesOf) : CASES;
needRoot();
const lab = await createTopology({ clients: CLIENTS });
try {
  const vpns = await startVpns(lab);
  const meter = await startMeter(lab);
  console.log(HEADER);
  const outcomes: Outcome[] = [];
  for (const one of cases)
    for (const family of FAMILIES)
      if ((one.family ?? family) === family) {
        const outcome = await run(one, family);
        outcomes.push(outcome);
        console.log(row(outcome));
      }
  console.log(["", ...summary(outcomes), ""].join("\n"));

  async function run(one: Case, family: Family): Promise<Outcome> {
    await vpns.useTlsCrypt(!one.plain);
    if (one.carpet) await carpet("add", family);
    const agent = await startAgent(lab, CONFIG);
    const pings = vpns.ping(PING_MS);
    const silent = await pings.answered(10_000);
    if (silent.length > 0) console.log(`  no tunnel before the attack: ${silent.join(", ")}`);
    const sniffed = one.sniffed === "handshake" ? await sniffHandshakes(lab, vpns.wireguard) : undefined;
    const recorded = one.sniffed === "session" ? await sniffSession(lab, vpns.wireguard) : sniffed?.recorded;
    await delay(SETTLE_MS);
    await meter.reset();
    const { attack, port, sources, slots, pulses, pps = PPS } = one;
    const seconds = one.pps ? TRICKLE_SECONDS : pulses ? PULSED_SECONDS : SECONDS;
    const running = await floodTogether(lab, {
      ...{ attack, port, sources, slots, pulses, pps, seconds, family, recorded },
      ...(one.carpet ? { destinations: CARPETS[family] } : {}),
      serverPublicKey: vpns.wireguard.publicKey,
    });
    const stood = agent
      .waitFor("mitigation.applied", undefined, seconds * 1000)
      .then(counts)
      .catch(() => undefined);
    const { sent, seconds: lasted } = await running.result;
    const to = running.firstPacketAt + lasted * 1000;
    const before = await stood;
    const all = await counts();
    const firstDropMs = await running.firstDropMs(meter);
    await delay(to + AFTER_MS - Date.now());
    const times = { from: running.firstPacketAt, to, aliveFrom: Date.now() - ALIVE_MS };
    const results = await pings.stop();
    await sniffed?.stop();
    const vectors = agent
      .events()
      .flatMap((event) =>
        event.event === "attack.started" || event.event === "attack.classified" ? event.vector : [],
      );
    await agent.end("SIGKILL");
    await agentCommand(lab, "withdraw", "--all");
    if (one.carpet) await carpet("del", family);
    return {
      ...{ name: nameOf(one), family, against: against(one), isFlood: one.pps === undefined, firstDropMs, all },
      pps: sent / onSeconds(lasted, pulses),
      standing: before && { arrived: all.arrived - before.arrived, passed: all.passed - before.passed },
      vectors: [...new Set(vectors)],
      pings: {
        WireGuard: judgePings(results.WireGuard, times),
        OpenVPN: judgePings(results.OpenVPN, times),
        IPsec: judgePings(results.IPsec, times),
      },
    };
  }

  /** Fragments that make no whole get no further than to where they are put together, so that is where passing is counted. */
  async function counts(): Promise<Counts> {
    const { arrived, entered } = await meter.read();
    return { arrived: arrived.packets, passed: entered.packets };
  }
} finally {
  await lab.destroy();
}
process.exit(0);

/** Gives the concentrator all addresses of a prefix, or takes them away. */
async function carpet(what: "add" | "del", family: Family): Promise<void> {
  const lines = Array.from({ length: 254 }, (_, index) =>
    family === 4 ? `198.51.100.${index + 1}/32` : `2001:db8:ca::${(index + 1).toString(16)}/128`,
  );
  await ip(
    lines.map((address) => `addr ${what} ${address} dev lo`),
    lab.concentrator.namespace,
  );
}

function casesOf(word: string): Case[] {
  const letter = LETTERS.find((known) => known === word.toUpperCase());
  if (letter) return CASES.filter((one) => one.letter === letter);
  const names = word === "attacks" ? ATTACK_NAMES : ATTACK_NAMES.filter((known) => known === word);
  if (names.length > 0) return names.flatMap((attack) => SOURCES.flatMap((from) => fromSources(attack, from)));
  console.error(
    `Unknown: ${word}. Known: ${LETTERS.join(" ")} (the catalogue's letters), attacks, ${ATTACK_NAMES.join(", ")}.`,
  );
  process.exit(2);
}

function fromSources(attack: Case["attack"], from: string): Case[] {
  const plain = attack === "openvpn_reset_plain" ? ({ plain: true } as const) : {};
  const one = { 4: "198.51.100.77", 6: "2001:db8:77::7" };
  return FAMILIES.map((family) => ({
    ...{ attack, family, note: `from ${from}`, ...plain },
    sources: from === "random" ? "random" : from === "few" ? { count: 1_000 } : { address: one[family] },
  }));
}
