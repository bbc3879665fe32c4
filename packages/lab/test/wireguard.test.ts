import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect } from "vitest";
import { createTopology, ip, type Topology } from "../src/namespaces.ts";
import { probe } from "../src/probe.ts";
import { publicKeyOf, type Roam, startWireguard, type Wireguard } from "../src/wireguard.ts";
import { asRoot } from "./root.ts";

let lab: Topology;
let wireguard: Wireguard;

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  lab = await createTopology({ clients: 3 });
  wireguard = await startWireguard(lab, { clients: [4, 6] });
});
afterAll(async () => {
  await lab?.destroy();
});

asRoot("tunnels come up over IPv4 and over IPv6 and carry both", async () => {
  const endpoints = await Promise.all(
    wireguard.clients.map(async (client) => (await wireguard.peer(client))?.endpoint),
  );
  expect(endpoints[0]).toMatch(/^10\.99\.0\.11:/);
  expect(endpoints[1]).toMatch(/^\[fd99::c\]:/);
  for (const { host } of wireguard.clients) {
    for (const target of Object.values(wireguard.address)) {
      const pings = probe({ namespace: host.namespace, target, intervalMs: 50 });
      await pings.answered;
      expect((await pings.stop()).received).toBeGreaterThan(0);
    }
  }
});

asRoot("the public key is the one that the running server has", async () => {
  expect(await publicKeyOf(wireguard.interface)).toBe(wireguard.publicKey);
});

asRoot("a client that roams to another address, port and family and back loses no ping", async () => {
  const client = wireguard.clients[0]!;
  const pings = probe({ namespace: client.host.namespace, target: wireguard.address[4], intervalMs: 20 });
  await pings.answered;
  const journey: [Roam, string][] = [
    [{ address: "10.99.0.101" }, "10.99.0.101:"],
    [{ family: 6 }, "[fd99::b]:"],
    [{ address: "fd99::00:77" }, "[fd99::77]:"],
    [{ family: 4 }, "10.99.0.101:"],
    [{ port: 40_001 }, "10.99.0.101:40001"],
    [{ address: client.host.address[4] }, "10.99.0.11:40001"],
  ];
  for (const [to, expected] of journey) {
    await client.roam(to);
    expect((await wireguard.peer(client))?.endpoint).toContain(expected);
  }
  const { lost, sent } = await pings.stop();
  expect(sent).toBeGreaterThan(5);
  expect(lost).toBe(0);
});

asRoot("a late client connects and is measured; one that cannot connect is an error", async () => {
  const client = await wireguard.connect(2, 6);
  expect(client.connectedInMs).toBeGreaterThan(0);
  await expect(wireguard.connect(7)).rejects.toThrow("no client 7");
});

asRoot("stopping ends the servers' processes and their control sockets", async () => {
  const own = await createTopology({ clients: 1 });
  try {
    const other = await startWireguard(own);
    expect(existsSync(`/var/run/wireguard/${other.interface}.sock`)).toBe(true);
    await other.stop();
    await other.stop();
    expect(existsSync(`/var/run/wireguard/${other.interface}.sock`)).toBe(false);
  } finally {
    await own.destroy();
  }
});

asRoot("a probe tells lost from answered, and its gap from a steady tunnel's", async () => {
  const { host } = wireguard.clients[1]!;
  const pings = probe({ namespace: host.namespace, target: wireguard.address[4], intervalMs: 50, timeoutMs: 300 });
  await pings.answered;
  await ip(["link set eth0 down"], host.namespace);
  // Being down for half a second is the case under test.
  await delay(500);
  const { sent, received, lost, late, longestGapMs, samples } = await pings.stop();
  expect(received).toBeGreaterThan(0);
  expect(lost).toBeGreaterThanOrEqual(5);
  expect(sent).toBe(received + lost);
  expect(late).toBe(0);
  expect(longestGapMs).toBeGreaterThan(300);
  expect(samples.at(-1)?.rttMs).toBeNull();
});
