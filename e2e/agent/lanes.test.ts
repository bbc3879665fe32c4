import { LearnedState, laneOf } from "@flowtriq/detection/lanes";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import { ATTACK_NAMES } from "@flowtriq/lab/attacks";
import { flood } from "@flowtriq/lab/flood";
import { createTopology, FAMILIES, run, type Topology } from "@flowtriq/lab/namespaces";
import { attackFrames } from "@flowtriq/lab/pcap";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { arrivedCounter } from "@flowtriq/mitigation/names";
import { toNftables } from "@flowtriq/mitigation/nftables";
import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const isRoot = process.getuid?.() === 0;
const PACKETS = 400;
/** Any key will do: lanes do not depend on mac1. */
const serverPublicKey = Buffer.alloc(32, 9).toString("base64");
const ports: VpnPort[] = (
  [
    [51820, "wireguard"],
    [1194, "openvpn"],
    [500, "ike"],
    [4500, "ipsec_nat_t"],
  ] as const
).map(([port, protocol]) => ({ port, transport: "udp", protocol, strictness: "auto" }));

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("the kernel counts each packet in the lane that replay puts it in", () => {
  let lab: Topology;
  const facts: HostFacts = {
    table: "lanetest",
    interfaces: ["eth0"],
    ports,
    hook: "ingress",
    nflogGroup: 4999,
    samplesPerSecond: 10,
    busy: false,
    trips: () => ({ pps: 10_000_000, burst: 10_000 }),
    seeds: [],
    connections: [],
    localAddresses: [],
    listeningUdp: [],
    conntrack: false,
    notrack: false,
    greylist: 65_536,
    neverBlock: [],
  };

  beforeAll(async () => {
    lab = await createTopology({ clients: 0 });
    await run(lab.concentrator.namespace, ["nft", "-f", "-"], { input: toNftables(facts) });
  });
  afterAll(async () => {
    await lab?.destroy();
  });

  async function kernelCounts(): Promise<Map<LaneId, number>> {
    const { stdout } = await run(lab.concentrator.namespace, [
      "nft",
      "-j",
      "list",
      "counters",
      "table",
      "inet",
      "lanetest",
    ]);
    const counters = (JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] }).nftables;
    const packets = new Map(
      counters.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets] as const] : [])),
    );
    return new Map(lanesOf(ports).map((lane) => [lane, packets.get(arrivedCounter(lane)) ?? 0]));
  }

  describe.each(FAMILIES)("IPv%i", (family) => {
    test.each(ATTACK_NAMES)("%s", async (attack) => {
      const options = { attack, packets: PACKETS, pps: 20_000, family, seed: 7, serverPublicKey } as const;
      const predicted = new Map<string, number>();
      for (const { bytes } of attackFrames(options)) {
        const packet = readPacket(bytes, LINK.ethernet)!;
        const lane = laneOf(packet, { ports, learned: new LearnedState(ports) }) ?? "none";
        predicted.set(lane, (predicted.get(lane) ?? 0) + 1);
      }
      const before = await kernelCounts();
      await (await flood(lab, { ...options, seconds: 1, slots: 1024 })).result;
      const after = await kernelCounts();
      const counted = new Map([...after].map(([lane, packets]) => [lane, packets - before.get(lane)!]));
      // The attacker's own kernel may add a neighbour solicitation or an ICMP error of its own.
      counted.delete("host:icmp");
      const expected = new Map([...predicted].filter(([lane]) => lane !== "host:icmp"));
      expect(Object.fromEntries([...counted].filter(([, packets]) => packets > 0))).toEqual(
        Object.fromEntries(expected),
      );
    });
  });
});
