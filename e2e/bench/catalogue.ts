/**
 * `npm run bench -- catalogue [NAME ...]`: every attack that the lab can make, over IPv4 and IPv6, from random, from a thousand and from
 * one source, against live WireGuard and OpenVPN servers behind the agent: what it is called, when the first packet was dropped,
 * what reached the host after that, and what the tunnels lost. PPS, SECONDS, FAMILIES (4, 6) and SOURCES (random, few, one) narrow it.
 */
import { ATTACK_NAMES, type AttackName } from "@flowtriq/lab/attacks";
import { flood } from "@flowtriq/lab/flood";
import { startMeter, timeToFirstDrop } from "@flowtriq/lab/meter";
import { createTopology, type Family, type Topology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { combine, probe } from "@flowtriq/lab/probe";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { agentCommand, EVERY_PROTOCOL, startAgent } from "../agent/agent.ts";

const PPS = Number(process.env.PPS ?? 100_000);
const SECONDS = Number(process.env.SECONDS ?? 3);
const FAMILIES = (process.env.FAMILIES ?? "4,6").split(",").map(Number) as Family[];
const SOURCES = (process.env.SOURCES ?? "random,few,one").split(",");
const names = process.argv.slice(2) as AttackName[];
const unknown = names.filter((name) => !ATTACK_NAMES.includes(name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(", ")}. Names: ${ATTACK_NAMES.join(", ")}.`);
  process.exit(2);
}

const CONFIG = {
  ...EVERY_PROTOCOL,
  policy: { quietSeconds: 5, leaseSeconds: 15 },
};

const lab = await createTopology({ clients: 4 });
try {
  const wireguard = await startWireguard(lab, { clients: [4, 6] });
  const openvpn = await startOpenvpn(lab, { clients: [] });
  await Promise.all([openvpn.connect(2, 4), openvpn.connect(3, 6)]);
  console.log(
    `${"attack".padEnd(34)} v src     sent/s  first drop  passed before/after        vector${" ".repeat(22)}lost WG   lost OVPN`,
  );
  for (const attack of names.length > 0 ? names : ATTACK_NAMES)
    for (const family of FAMILIES) for (const sources of SOURCES) await run(attack, family, sources, lab);

  async function run(attack: AttackName, family: Family, from: string, lab: Topology): Promise<void> {
    const agent = await startAgent(lab, CONFIG);
    const probes = [0, 1, 2, 3].map((client) =>
      probe({
        namespace: lab.clients[client]!.namespace,
        target: client < 2 ? wireguard.address[4] : openvpn.address[4],
        intervalMs: 50,
      }),
    );
    await Promise.all(probes.map((one) => one.answered));
    const meter = await startMeter(lab);
    await meter.reset();
    const one = family === 4 ? "198.51.100.77" : "2001:db8:77::7";
    const sources = from === "random" ? ("random" as const) : from === "few" ? { count: 1_000 } : { address: one };
    const running = await flood(lab, {
      attack,
      pps: PPS,
      seconds: SECONDS,
      family,
      sources,
      serverPublicKey: wireguard.publicKey,
    });
    // What passes once rules have had their time, apart from what came before.
    await new Promise((done) => setTimeout(done, Math.min(1_000, SECONDS * 500)));
    const middle = await meter.read();
    const result = await running.result;
    const end = await meter.read();
    const first = await timeToFirstDrop(result, meter);
    const events = agent.events();
    const vectors = events.flatMap((event) =>
      event.event === "attack.started" || event.event === "attack.classified" ? [event.vector] : [],
    );
    const results = await Promise.all(probes.map((one) => one.stop()));
    const lost = (list: typeof results) => {
      const all = combine(list);
      return `${all.lost}/${all.sent}`.padEnd(9);
    };
    const percent = (passed: number, arrived: number) => `${((100 * passed) / Math.max(1, arrived)).toFixed(3)} %`;
    const late = end.arrived.packets - middle.arrived.packets;
    console.log(
      [
        attack.padEnd(34),
        family,
        from.padEnd(6),
        `${Math.round(result.sent / result.seconds)}`.padStart(7),
        first ? `${first.ms.toFixed(1)} ms`.padStart(11) : "      never",
        ` ${percent(middle.passed.packets, middle.arrived.packets)} / ${percent(end.passed.packets - middle.passed.packets, late)}`.padEnd(
          26,
        ),
        [...new Set(vectors)].join(" > ").padEnd(28),
        lost(results.slice(0, 2)),
        lost(results.slice(2)),
      ].join(" "),
    );
    await meter.stop();
    await agent.end("SIGKILL");
    await agentCommand(lab, "withdraw", "--all");
  }
} finally {
  await lab.destroy();
}
