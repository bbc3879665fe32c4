/**
 * `npm run bench -- first-drop`: from the first attack packet to the first one dropped, on each protocol, at 20, 100 and 300 thousand packets
 * a second, RUNS (20) times each with an agent that has just started. 300,000 come from two senders; the rate that they reached is told.
 */
import { type FloodResult, flood } from "@flowtriq/lab/flood";
import { firstDrop, type Meter, startMeter, timeToFirstDrop } from "@flowtriq/lab/meter";
import { createTopology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { agentCommand, EVERY_PROTOCOL, startAgent } from "../agent/agent.ts";
import { line } from "./figures.ts";

const RUNS = Number(process.env.RUNS ?? 20);
const RATES = (process.env.RATES ?? "20000,100000,300000").split(",").map(Number);
/** What one sender reaches beside a meter. */
const SENDER_PPS = 150_000;
const ATTACKS = [
  ["WireGuard: random UDP", "udp_random", 51820],
  ["WireGuard: data of right shape", "wireguard_data", 51820],
  ["WireGuard: junk handshakes", "wireguard_initiation", 51820],
  ["WireGuard: handshakes with valid mac1", "wireguard_initiation_valid_mac1", 51820],
  ["OpenVPN: resets", "openvpn_reset", 1194],
  ["OpenVPN: data", "openvpn_data", 1194],
  ["IPsec: IKE_SA_INIT", "ike_sa_init", 500],
  ["IPsec: random UDP on 4500", "udp_random", 4500],
  ["TCP: segments on the VPN's port", "ack", 443],
  ["TCP: SYN", "syn", 443],
] as const;

const lab = await createTopology({ clients: 2 });
try {
  const { publicKey: serverPublicKey } = await startWireguard(lab, { clients: [4] });
  await (await startOpenvpn(lab, { clients: [] })).connect(1);
  const wanted = process.argv.slice(2);
  for (const [name, attack, port] of ATTACKS)
    if (wanted.length === 0 || wanted.includes(attack))
      for (const pps of RATES) {
        const drops: number[] = [];
        const reached: number[] = [];
        for (let run = 0; run < RUNS; run++) {
          const found = await once(attack, port, pps);
          drops.push(found.ms);
          reached.push(found.pps);
        }
        const rate = reached.reduce((sum, one) => sum + one, 0) / RUNS;
        console.log(line(`${name}, ${Math.round(rate / 1000)} kpps`, drops, "ms", "p50 10, p95 40"));
      }

  async function once(attack: (typeof ATTACKS)[number][1], port: number, pps: number) {
    const agent = await startAgent(lab, EVERY_PROTOCOL);
    const meter: Meter = await startMeter(lab);
    try {
      const senders = pps > SENDER_PPS ? 2 : 1;
      const one = { attack, port, seconds: 0.4, pps: pps / senders, serverPublicKey, slots: 4_096 };
      const startAt = Date.now() + 1_000;
      const running = await Promise.all(
        Array.from({ length: senders }, (_, seed) => flood(lab, { ...one, seed, startAt })),
      );
      const results = await Promise.all(running.map(({ result }) => result));
      // The numbers of a flood's packets tell which was dropped first; with two senders those of both are mixed.
      const dropped =
        senders === 1 ? (await timeToFirstDrop(results[0]!, meter))?.ms : firstOfBoth(results, await meter.order(4));
      const sent = results.reduce((sum, result) => sum + result.sent / result.seconds, 0);
      return { ms: dropped ?? Number.POSITIVE_INFINITY, pps: sent };
    } finally {
      await meter.stop();
      await agent.end("SIGKILL");
      await agentCommand(lab, "withdraw", "--all");
    }
  }
} finally {
  await lab.destroy();
}

/** Both senders begin together and number their packets alike, so a group of the meter's holds twice as many; the later is told. */
function firstOfBoth(results: FloodResult[], order: Awaited<ReturnType<Meter["order"]>>): number | undefined {
  const halved = (counts: Map<number, number>) => new Map([...counts].map(([group, count]) => [group, count / 2]));
  const began = Math.min(...results.map(({ firstPacketAt }) => firstPacketAt));
  const drops = results.flatMap(({ log, firstPacketAt }) => {
    const found = firstDrop(log, halved(order.arrived), halved(order.passed));
    return found ? [firstPacketAt - began + found.ms] : [];
  });
  return drops.length > 0 ? Math.max(...drops) : undefined;
}
