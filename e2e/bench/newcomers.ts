/**
 * `npm run bench -- newcomers`: clients that the server has never met connect while a flood of handshakes is on: WireGuard's with a valid
 * mac1 from random sources, OpenVPN's resets at a trickle. How many are in within 6 s, from being started to the handshake's end.
 * CLIENTS (40) of each, PPS (200000).
 */
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { createTopology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { startAgent } from "../agent/agent.ts";
import { one } from "./figures.ts";

const CLIENTS = Number(process.env.CLIENTS ?? 40);
const PPS = Number(process.env.PPS ?? 200_000);
const WITHIN_MS = 6_000;
const CONFIG = {
  interfaces: ["eth0"],
  ports: [
    { port: 51820, transport: "udp", protocol: "wireguard" },
    { port: 1194, transport: "udp", protocol: "openvpn" },
  ],
  mode: "enforce",
};

const lab = await createTopology({ clients: CLIENTS });
try {
  const wireguard = await startWireguard(lab, { clients: [] });
  const openvpn = await startOpenvpn(lab, { clients: [] });
  const agent = await startAgent(lab, CONFIG);

  await during("WireGuard, valid mac1 from random sources", "wireguard_initiation_valid_mac1", PPS, (client) =>
    wireguard.connect(client, client % 2 ? 6 : 4, 20_000),
  );
  for (const pps of [15, 100, 1_000])
    await during(`OpenVPN, ${pps} resets a second`, "openvpn_reset", pps, (client) =>
      openvpn.connect(client, client % 2 ? 6 : 4, 30_000),
    );

  async function during(
    name: string,
    attack: "wireguard_initiation_valid_mac1" | "openvpn_reset",
    pps: number,
    connect: (client: number) => Promise<{ connectedInMs: number }>,
  ): Promise<void> {
    const count = attack === "openvpn_reset" ? Math.min(CLIENTS, 12) : CLIENTS;
    const before = agent.events().length;
    const running = await flood(lab, { attack, pps, seconds: 60, serverPublicKey: wireguard.publicKey });
    // The attack has been on for a while: whatever the server bears without help is used up.
    await delay(12_000);
    const took: number[] = [];
    // A few a second, as people connect; all at once they would be a crowd of their own on two cores.
    await Promise.all(
      Array.from({ length: count }, async (_, client) => {
        await delay(client * 250);
        const connected = await connect(client).catch(() => undefined);
        took.push(connected?.connectedInMs ?? Number.POSITIVE_INFINITY);
      }),
    );
    const { sent, seconds } = await running.stop();
    const events = agent.events().slice(before);
    const vectors = events.flatMap((event) => ("vector" in event ? [event.vector] : []));
    const inTime = took.filter((ms) => ms <= WITHIN_MS).length;
    const slowest = Math.max(...took);
    const said = `${inTime} of ${count} within 6 s, slowest ${(slowest / 1000).toFixed(2)} s, ${Math.round(sent / seconds)} pps, ${[...new Set(vectors)].join(" ")}`;
    console.log(one(name, said, "99 %"));
    await openvpn.stopClients();
    await agent.waitFor("attack.ended", ({ at }) => !events.some((event) => event.at === at), 60_000).catch(() => {});
  }
} finally {
  await lab.destroy();
}
