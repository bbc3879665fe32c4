import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressText, readPacket } from "@flowtriq/detection/packet";
import { readPcap } from "@flowtriq/detection/pcap";
import { afterEach, beforeEach, expect } from "vitest";
import { createTopology, type Topology } from "../src/namespaces.ts";
import { startOpenvpn } from "../src/openvpn.ts";
import { probe } from "../src/probe.ts";
import { record } from "../src/record.ts";
import { startStrongswan } from "../src/strongswan.ts";
import { startWireguard } from "../src/wireguard.ts";
import { asRoot } from "./root.ts";

let lab: Topology;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "lab-strongswan-"));
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  await lab?.destroy();
});

asRoot("IPsec tunnels come up over IPv4 and IPv6, carry both, and are ESP in UDP on the wire", async () => {
  lab = await createTopology({ clients: 2 });
  const strongswan = await startStrongswan(lab, { clients: [4, 6] });
  expect((await strongswan.connected()).sort()).toEqual(["client1-1@lab.test", "client2-1@lab.test"]);
  const file = join(directory, "esp.pcap");
  const recording = await record(lab.concentrator, file, { filter: ["udp", "port", `${strongswan.natPort}`] });
  for (const { host } of strongswan.clients) {
    for (const target of Object.values(strongswan.address)) {
      const pings = probe({ namespace: host.namespace, target, intervalMs: 50 });
      await pings.answered;
      expect((await pings.stop()).lost).toBe(0);
    }
  }
  await recording.stop();
  const seen = espInUdp(file);
  // Each client asked in both families, and each was answered.
  const [first, second] = lab.clients;
  const ends = [first!.address[4], second!.address[6], ...Object.values(lab.concentrator.address)];
  for (const end of ends) expect(seen.from(end), end).toBeGreaterThanOrEqual(2);
  await strongswan.stop();
  expect(existsSync(strongswan.viciSocket)).toBe(false);
});

asRoot("a client may bring many users, and the server is told when they leave", async () => {
  lab = await createTopology({ clients: 1 });
  const strongswan = await startStrongswan(lab, { tunnelsPerClient: 3 });
  expect(await strongswan.connected()).toHaveLength(3);
  await strongswan.clients[0]!.disconnect();
  expect(await strongswan.connected()).toEqual([]);
  await expect(strongswan.connect(5)).rejects.toThrow("no client 5");
  await expect(startStrongswan(lab, { tunnelsPerClient: 0 })).rejects.toThrow("1 to 50");
});

asRoot("twenty clients have a tunnel of each protocol to one concentrator at the same time", async () => {
  lab = await createTopology({ clients: 20 });
  const clients = lab.clients.map((_, index) => (index % 2 === 0 ? 4 : 6) as 4 | 6);
  const wireguard = await startWireguard(lab, { clients });
  const openvpn = await startOpenvpn(lab, { clients });
  const strongswan = await startStrongswan(lab, { clients });
  const probes = lab.clients.flatMap(({ namespace }) =>
    [wireguard, openvpn, strongswan].map(({ address }) =>
      probe({ namespace, target: address[4], intervalMs: 200, timeoutMs: 5_000 }),
    ),
  );
  // Sixty tunnels answer.
  await Promise.all(probes.map(({ answered }) => answered));
  await Promise.all(probes.map((one) => one.stop()));
  await expect.poll(() => openvpn.connected().length, { timeout: 10_000 }).toBe(20);
  expect(await strongswan.connected()).toHaveLength(20);
});

/** Counts packets by source whose payload begins with a security parameters index: 0 would be IKE, 1 to 255 are reserved (RFC 3948 2). */
function espInUdp(file: string) {
  const sources = new Map<string, number>();
  for (const { bytes, linkType } of readPcap(readFileSync(file))) {
    const packet = readPacket(bytes, linkType);
    if (!packet || packet.payload.length < 24) continue;
    const spi = Buffer.from(packet.payload).readUInt32BE();
    const source = addressText(packet.source);
    if (spi > 255) sources.set(source, (sources.get(source) ?? 0) + 1);
  }
  return { from: (address: string) => sources.get(address) ?? 0 };
}
