import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ATTACK_NAMES } from "../src/attacks.ts";
import { flood } from "../src/flood.ts";
import { firstDrop, type Meter, startMeter, timeToFirstDrop } from "../src/meter.ts";
import { createTopology, FAMILIES, run, type Topology } from "../src/namespaces.ts";
import { startWireguard, type Wireguard } from "../src/wireguard.ts";
import { asRoot } from "./root.ts";

let lab: Topology;
let wireguard: Wireguard;
let meter: Meter;

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  lab = await createTopology({ clients: 1 });
  wireguard = await startWireguard(lab);
  meter = await startMeter(lab);
});
beforeEach(async () => {
  await meter?.reset();
});
afterAll(async () => {
  await lab?.destroy();
});

const everyAttack = ATTACK_NAMES.flatMap((attack) => FAMILIES.map((family) => [attack, family] as const));

asRoot.each(everyAttack)(
  "%s over IPv%d: all packets arrive, and the kernel finds their checksums right",
  async (attack, family) => {
    const wrongBefore = await wrongChecksums();
    const { publicKey: serverPublicKey } = wireguard;
    const options = { attack, family, pps: 5_000, seconds: 10, packets: 300, slots: 128, serverPublicKey };
    const { sent } = await (await flood(lab, options)).result;
    const { arrived, entered, passed } = await meter.read();
    expect(sent).toBe(300);
    expect(arrived.packets).toBe(300);
    // The kernel throws packets with a wrong IP header away before this place.
    expect(entered.packets).toBe(300);
    // IPv4 puts fragments together before the input hook, IPv6 behind it.
    expect(passed.packets).toBe(attack === "udp_fragment" && family === 4 ? 0 : 300);
    expect(await wrongChecksums()).toBe(wrongBefore);
  },
);

asRoot("ports are counted apart, and tunnels not at all", async () => {
  const { host } = wireguard.clients[0]!;
  await run(host.namespace, ["ping", "-c3", "-i0.01", wireguard.address[4]]);
  expect((await meter.read()).arrived.packets).toBe(0);
  await (await flood(lab, { attack: "udp_random", pps: 5_000, seconds: 5, packets: 100, port: 500 })).result;
  await (await flood(lab, { attack: "udp_random", pps: 5_000, seconds: 5, packets: 50, port: 9 })).result;
  const { arrived, ports } = await meter.read();
  expect(arrived.packets).toBe(150);
  expect(ports.get(500)?.arrived.packets).toBe(100);
  expect(ports.get(51820)?.arrived.packets).toBe(0);
});

asRoot.each(FAMILIES)(
  "over IPv%d the first dropped packet is found exactly, whichever hook drops it",
  async (family) => {
    for (const chain of [
      'hook ingress device "eth0" priority -500',
      "hook prerouting priority -300",
      "hook input priority 0",
    ]) {
      await meter.reset();
      // Lets 700 packets of the flood pass and drops all others; the tunnel's own packets are not counted.
      await withRules(
        `chain c { type filter ${chain}; ether saddr ${lab.floodMac} udp dport 51820 numgen inc mod 1000000 >= 700 drop; }`,
        async () => {
          const result = await (
            await flood(lab, { attack: "wireguard_data", family, pps: 20_000, seconds: 10, packets: 2000 })
          ).result;
          const drop = await timeToFirstDrop(result, meter);
          expect(drop?.packet).toBe(700);
          expect(drop!.earliestMs).toBeLessThanOrEqual(drop!.ms);
          expect(drop!.latestMs).toBeGreaterThanOrEqual(drop!.ms);
          const { arrived, passed } = await meter.read();
          expect([arrived.packets, passed.packets]).toEqual([2000, 700]);
        },
      );
    }
  },
);

asRoot("a flood of which nothing is dropped has no first drop", async () => {
  const result = await (await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 10, packets: 2000 })).result;
  expect(await timeToFirstDrop(result, meter)).toBeUndefined();
});

asRoot("a meter that leaves out what arrives still counts what passes", async () => {
  const own = await createTopology({ clients: 0 });
  try {
    const lean = await startMeter(own, { arrivals: false });
    await (await flood(own, { attack: "udp_random", pps: 5_000, seconds: 5, packets: 100 })).result;
    const { arrived, entered, passed } = await lean.read();
    expect([arrived.packets, entered.packets, passed.packets]).toEqual([0, 100, 100]);
  } finally {
    await own.destroy();
  }
});

asRoot("a meter whose table is gone says so", async () => {
  const own = await createTopology({ clients: 0 });
  try {
    const lost = await startMeter(own);
    await lost.stop();
    await expect(lost.read()).rejects.toThrow();
  } finally {
    await own.destroy();
  }
});

test("when a rule lets a few of a group through, the bounds say how early the first drop may have been", () => {
  const log: [number, number][] = [
    [0, 10],
    [1, 256],
    [2, 300],
    [3, 400],
    [4, 512],
  ];
  const arrived = new Map([
    [0, 256],
    [1, 256],
  ]);
  const passed = new Map([
    [0, 256],
    [1, 100],
  ]);
  expect(firstDrop(log, arrived, passed)).toEqual({ packet: 356, ms: 2.5, earliestMs: 1, latestMs: 3 });
  expect(firstDrop(log, arrived, arrived)).toBeUndefined();
  expect(firstDrop(log, arrived, new Map())).toMatchObject({ packet: 0, earliestMs: 0 });
});

async function withRules(chain: string, body: () => Promise<void>): Promise<void> {
  await run(lab.concentrator.namespace, ["nft", "-f", "-"], { input: `table inet dropper {\n${chain}\n}\n` });
  try {
    await body();
  } finally {
    await run(lab.concentrator.namespace, ["nft", "delete", "table", "inet", "dropper"]);
  }
}

/** Packets that the concentrator's UDP, TCP and ICMP refused because of their checksum. */
async function wrongChecksums(): Promise<number> {
  const { stdout } = await run(lab.concentrator.namespace, ["cat", "/proc/net/snmp", "/proc/net/snmp6"]);
  const lines = stdout.split("\n").map((line) => line.split(/\s+/));
  const named = lines.filter(([name]) => /InCsumErrors$/.test(name ?? "")).map(([, value]) => Number(value));
  const tables = lines.flatMap((keys, index) => {
    const column = keys.indexOf("InCsumErrors");
    return column < 0 ? [] : [Number(lines[index + 1]![column])];
  });
  return [...named, ...tables].reduce((sum, value) => sum + value, 0);
}
