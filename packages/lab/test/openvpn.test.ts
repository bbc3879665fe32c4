import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { bulk } from "../src/bulk.ts";
import { flood } from "../src/flood.ts";
import { createTopology, run } from "../src/namespaces.ts";
import { startOpenvpn } from "../src/openvpn.ts";
import { probe } from "../src/probe.ts";
import { record } from "../src/record.ts";
import { startWireguard } from "../src/wireguard.ts";
import { asRoot } from "./root.ts";

asRoot("OpenVPN tunnels come up over IPv4 and IPv6, carry both, and show in the status file", async () => {
  const lab = await createTopology({ clients: 2 });
  try {
    const openvpn = await startOpenvpn(lab, { clients: [4, 6] });
    for (const { host } of openvpn.clients) {
      for (const target of Object.values(openvpn.address)) {
        const pings = probe({ namespace: host.namespace, target, intervalMs: 50 });
        await pings.answered;
        expect((await pings.stop()).lost).toBe(0);
      }
    }
    await expect.poll(() => openvpn.connected().sort(), { timeout: 10_000 }).toEqual(["client1", "client2"]);
    await openvpn.stop();
    expect(existsSync(openvpn.statusFile)).toBe(false);
  } finally {
    await lab.destroy();
  }
});

asRoot("without tls-crypt the server answers whoever sends it a plain reset, and tunnels come up too", async () => {
  const lab = await createTopology({ clients: 1 });
  try {
    const openvpn = await startOpenvpn(lab, { tlsCrypt: false });
    const pings = probe({ namespace: lab.clients[0]!.namespace, target: openvpn.address[4], intervalMs: 50 });
    await pings.answered;
    await pings.stop();
    const sentTo = async () =>
      Number((await run(lab.attacker.namespace, ["cat", "/sys/class/net/eth0/statistics/rx_packets"])).stdout);
    const before = await sentTo();
    await (await flood(lab, { attack: "openvpn_reset_plain", pps: 50, seconds: 5, packets: 20 })).result;
    // Answers to made-up sources are routed to the attacker.
    await expect.poll(async () => (await sentTo()) - before, { timeout: 10_000 }).toBeGreaterThanOrEqual(20);
  } finally {
    await lab.destroy();
  }
});

asRoot(
  "a bulk transfer fills the tunnel with full-size packets, some no multiple of 16, and a capture shows them",
  async () => {
    const lab = await createTopology({ clients: 1 });
    const directory = mkdtempSync(join(tmpdir(), "lab-record-"));
    try {
      const wireguard = await startWireguard(lab);
      const file = join(directory, "tunnel.pcap");
      const recording = await record(lab.concentrator, file, {
        filter: ["udp", "port", "51820"],
        snapLength: 64,
        packets: 500,
      });
      const [from] = lab.clients;
      const { bytes } = await bulk({ from: from!, to: lab.concentrator, address: wireguard.address[4], seconds: 0.3 });
      await recording.stop();
      expect(bytes).toBeGreaterThan(100_000);
      // Of each record's header the original length: Ethernet, IPv4, UDP and 1,452 bytes of WireGuard.
      expect(originalLengths(readFileSync(file))).toContain(14 + 20 + 8 + 1452);
    } finally {
      rmSync(directory, { recursive: true });
      await lab.destroy();
    }
  },
);

asRoot("a capture of an attack holds every packet of it", async () => {
  const lab = await createTopology({ clients: 0 });
  const directory = mkdtempSync(join(tmpdir(), "lab-record-"));
  try {
    const file = join(directory, "attack.pcap");
    const recording = await record(lab.concentrator, file, { filter: ["ether", "src", lab.floodMac] });
    await (await flood(lab, { attack: "syn_options", pps: 2_000, seconds: 5, packets: 200 })).result;
    // The kernel has seen them all; tcpdump may still be reading.
    await expect.poll(() => originalLengths(readFileSync(file)).length, { timeout: 10_000 }).toBe(200);
    await recording.stop();
    expect(originalLengths(readFileSync(file))).toHaveLength(200);
    await expect(record(lab.concentrator, file, { interface: "nope0" })).rejects.toThrow("tcpdump ended");
  } finally {
    rmSync(directory, { recursive: true });
    await lab.destroy();
  }
});

function originalLengths(pcap: Buffer): number[] {
  const lengths: number[] = [];
  for (let at = 24; at + 16 <= pcap.length; at += 16 + pcap.readUInt32LE(at + 8))
    lengths.push(pcap.readUInt32LE(at + 12));
  return lengths;
}
