/**
 * `npm run bench -- first-drop`: from the first attack packet to the first one dropped, on each protocol, at 20, 100 and 300 thousand packets
 * a second, RUNS (20) times each with an agent that has just started. 300,000 come from two senders; the rate that they reached is told.
 */
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { agentCommand, EVERY_PROTOCOL, startAgent } from "../agent/agent.ts";
import { line } from "./figures.ts";
import { floodTogether } from "./together.ts";

const RUNS = Number(process.env.RUNS ?? 20);
const RATES = (process.env.RATES ?? "20000,100000,300000").split(",").map(Number);
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
    const meter = await startMeter(lab);
    try {
      const running = await floodTogether(lab, { attack, port, seconds: 0.4, pps, serverPublicKey, slots: 4_096 });
      const { sent, seconds } = await running.result;
      return { ms: (await running.firstDropMs(meter)) ?? Number.POSITIVE_INFINITY, pps: sent / seconds };
    } finally {
      await meter.stop();
      await agent.end("SIGKILL");
      await agentCommand(lab, "withdraw", "--all");
    }
  }
} finally {
  await lab.destroy();
}
