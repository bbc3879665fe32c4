import type { LaneId } from "@flowtriq/protocol/lane";
import { describe, expect, test } from "vitest";
import type { attacks } from "../test/attacks.ts";
import { type Flow, SimulatedNode } from "../test/node.ts";
import { attackPool, type Pool, strangers } from "../test/pools.ts";
import { World } from "../test/world.ts";
import { Baselines } from "./baseline.ts";

const SECOND = 1_000;
const four = new World(11, "training");
const six = Array.from({ length: 50 }, (_, seed) => new World(seed, "training")).find(({ family }) => family === 6)!;
const { ports } = four;
const wireguard = (world: World) => `udp:${world.vpn("wireguard")}` as const;
const malformed: LaneId = `${wireguard(four)}:malformed`;

/** On for so long, off for so long, from now on. */
const pulses =
  (from: number, pps: number, onMs: number, offMs: number) =>
  (at: number): number =>
    (at - from) % (onMs + offMs) < onMs ? pps : 0;

const told = (node: SimulatedNode) => node.changes.filter(({ kind }) => kind !== "classified").map(({ kind }) => kind);

describe("pulses", () => {
  test.each([
    ["30 s on, 15 s off", 30_000, 15_000],
    ["10 s on, 18 s off", 10_000, 18_000],
    ["0.9 s on, 5 s off", 900, 5_000],
    ["0.3 s on, 3 s off", 300, 3_000],
    ["0.1 s on, 10 s off", 100, 10_000],
  ])("of %s are one attack, mitigated all the time", (_, onMs, offMs) => {
    for (const [lane, packet] of [
      [malformed, attackPool(four, "udp_flood")],
      ["host:icmp", attackPool(four, "icmp_flood")],
    ] as [LaneId, Pool][]) {
      const node = new SimulatedNode({ ports, tunnels: 5 });
      node.run(1_500);
      const attack: Flow = { lane, pps: pulses(node.now, 50_000, onMs, offMs), packet };
      node.flows = [attack];
      node.runUntilAttack(20 * SECOND);
      expect(node.attacks, lane).toHaveLength(1);
      const checks: number[] = [];
      for (let i = 0; i < 180; i++) checks.push(node.run(SECOND, 5).attacks.length);
      expect(Math.min(...checks), lane).toBe(1);
      node.flows = [];
      node.run(60 * SECOND, 5);
      expect(told(node), lane).toEqual(["started", "ended"]);
    }
  });

  test("whose pauses grow a little beyond the quiet time stay one attack", () => {
    const node = new SimulatedNode({ ports });
    const attack: Flow = { lane: malformed, pps: 0, packet: attackPool(four, "udp_flood") };
    node.flows = [attack];
    for (const pause of [15, 18, 24, 30]) {
      attack.pps = 50_000;
      node.run(20 * SECOND, 5);
      attack.pps = 0;
      node.run(pause * SECOND, 5);
    }
    expect(told(node)).toEqual(["started"]);
  });
});

describe("an attack ends on what opened it", () => {
  test("by packets: though large ordinary packets go on", () => {
    const lane: LaneId = "host:udp";
    const node = new SimulatedNode({ ports });
    const flood: Flow = { lane, pps: 100_000, bytes: 100, packet: attackPool(four, "udp_flood") };
    node.flows = [flood];
    node.run(5 * SECOND);
    expect(node.attacks[0]?.metrics).toEqual({ [lane]: "pps" });
    // 240 Mbit a second: more than half of the threshold in bits, less than half of that in packets.
    node.flows = [{ lane, pps: 8_000, bytes: 3_750 }];
    node.run(25 * SECOND, 5);
    expect(told(node)).toEqual(["started", "ended"]);
  });

  test("by bits: though small ordinary packets go on", () => {
    const lane: LaneId = "host:fragment";
    const node = new SimulatedNode({ ports });
    node.flows = [{ lane, pps: 1_900, bytes: 9_000 }];
    node.run(5 * SECOND, 5);
    expect(node.attacks[0]?.metrics).toEqual({ [lane]: "bps" });
    node.flows = [{ lane, pps: 1_900, bytes: 60 }];
    node.run(25 * SECOND, 5);
    expect(told(node)).toEqual(["started", "ended"]);
  });

  test("and one taken over from an older agent, on either", () => {
    const before = new SimulatedNode({ ports });
    before.flows = [{ lane: malformed, pps: 50_000, packet: attackPool(four, "udp_flood") }];
    before.run(2 * SECOND);
    const { metrics: _, ...old } = before.attacks[0]!;
    const node = new SimulatedNode({ ports });
    node.detector.adopt([old], node.now);
    node.flows = [{ lane: malformed, pps: 800, bytes: 100 }];
    node.run(30 * SECOND, 5);
    expect(told(node)).toEqual([]);
    node.flows = [];
    node.run(25 * SECOND, 5);
    expect(told(node)).toEqual(["ended"]);
  });

  test.each([
    ["an hour back", -3_600_000],
    ["a day forward", 86_400_000],
  ])("whatever the clock does: set %s", (_, leap) => {
    const node = new SimulatedNode({ ports });
    node.flows = [{ lane: malformed, pps: 50_000, packet: attackPool(four, "udp_flood") }];
    node.run(5 * SECOND, 5);
    node.leap(leap);
    node.run(10 * SECOND, 5);
    expect(told(node)).toEqual(["started"]);
    node.flows = [];
    node.run(19 * SECOND, 5);
    expect(told(node)).toEqual(["started"]);
    node.run(3 * SECOND, 5);
    expect(told(node)).toEqual(["started", "ended"]);
  });
});

describe("bandwidth alone: few large packets, at a rate that rings no bell", () => {
  const usual = (lane: LaneId, pps: number, bits: number) => {
    const baselines = new Baselines();
    const node = new SimulatedNode({ ports, baselines });
    for (let at = node.now - 48 * 3_600_000; at <= node.now; at += 60_000) {
      baselines.learn(at, lane, { pps, bps: pps * bits }, 60);
    }
    return node;
  };

  test.each([
    [malformed, attackPool(four, "udp_flood"), "udp_flood"],
    ["host:icmp", attackPool(four, "icmp_flood"), "icmp_flood"],
    ["host:udp", attackPool(four, "udp_flood"), "udp_flood"],
    ["host:reflected", attackPool(four, "dns_amplification"), "dns_amplification"],
    ["host:esp", attackPool(four, "esp_flood"), "esp_flood"],
  ] as [LaneId, Pool, string][])("on %s, where many small packets are usual", (lane, packet, vector) => {
    const node = usual(lane, 20_000, 800);
    node.flows = [{ lane, pps: 20_000, bytes: 100 }];
    node.run(2_500);
    expect(node.changes).toEqual([]);
    const { pps } = node.detector.threshold(lane);
    // Half as many packets again, with fourteen times the bits.
    node.flows.push({ lane, pps: 15_000, bytes: 1_500, packet });
    const from = node.now;
    node.runUntilAttack(5 * SECOND);
    expect(35_000).toBeLessThan(pps);
    expect(node.attacks[0]).toMatchObject({ lanes: [lane], verdict: vector, metrics: { [lane]: "bps" } });
    expect(node.started[0]!.at - from).toBeLessThanOrEqual(2 * SECOND);
  });

  test.each([malformed, "host:reflected", "host:fragment", "host:icmp", "host:gre"] as LaneId[])(
    "on %s, before anything is known, and without a sample: the counters say what was counted",
    (lane) => {
      const node = new SimulatedNode({ ports });
      node.flows = [{ lane, pps: 900, bytes: 40_000 }];
      node.runUntilAttack(5 * SECOND, 5);
      expect(node.attacks[0]).toMatchObject({ lanes: [lane], metrics: { [lane]: "bps" }, confidence: 0.5 });
      node.run(2 * SECOND, 5);
      const classified = node.changes.find(({ kind }) => kind === "classified");
      expect(classified?.attack.evidence[0]).toMatch(/^counted: 900 packets and 288\.0 Mbit a second/);
    },
  );

  test("is no attack where it may be a download", () => {
    const node = usual("host:tcp", 2_000, 800);
    node.flows = [{ lane: "host:tcp", pps: 4_000, bytes: 40_000 }];
    node.run(30 * SECOND, 5);
    expect(node.changes).toEqual([]);
  });
});

type Case = [lane: (world: World) => LaneId, vector: keyof typeof attacks];
const FLOODS: Case[] = [
  [(world) => `${wireguard(world)}:malformed`, "udp_flood"],
  [(world) => `${wireguard(world)}:unissued`, "wireguard_data_flood"],
  [() => "host:udp", "udp_flood"],
  [() => "host:reflected", "dns_amplification"],
  [() => "host:reflected", "memcached_amplification"],
  [() => "host:syn", "syn_flood"],
  [() => "host:synack", "syn_ack_reflection"],
  [() => "host:icmp", "icmp_flood"],
  [() => "host:fragment", "udp_fragment_flood"],
  [() => "host:esp", "esp_flood"],
  [() => "host:gre", "gre_flood"],
];

describe.each([
  ["IPv4", four],
  ["IPv6", six],
])("over %s", (_, world) => {
  test.each(FLOODS)("a flood is seen and named: %s %s", (laneIn, vector) => {
    const lane = laneIn(world);
    const node = new SimulatedNode({ ports: world.ports });
    node.run(1_500);
    node.flows = [{ lane, pps: 40_000, packet: attackPool(world, vector) }];
    node.runUntilAttack(2 * SECOND);
    node.run(2 * SECOND);
    expect(node.attacks).toHaveLength(1);
    expect(node.attacks[0]).toMatchObject({ lanes: [lane], verdict: vector });
  });

  test.each(FLOODS)(
    "a carpet over a prefix is seen and named, 10 packets a second to each address: %s %s",
    (laneIn, vector) => {
      const lane = laneIn(world);
      const node = new SimulatedNode({ ports: world.ports });
      node.run(1_500);
      const packet = attackPool(world, vector);
      // 4,096 addresses: a /20, or the same of IPv6.
      const spread: Pool = (n, at) => {
        const sample = packet(n, at);
        const last = Math.imul(n, 2654435761) & 0xfff;
        const { destination } = sample;
        const moved =
          typeof destination === "number"
            ? (destination & ~0xfff) >>> 0
            : destination.slice(0, 7) + String.fromCharCode(destination.charCodeAt(7) & ~0xfff);
        const to =
          typeof moved === "number"
            ? moved + last
            : moved.slice(0, 7) + String.fromCharCode(moved.charCodeAt(7) + last);
        return { ...sample, destination: to };
      };
      node.flows = [{ lane, pps: 40_960, packet: spread }];
      node.runUntilAttack(2 * SECOND);
      node.run(2 * SECOND);
      expect(node.attacks).toHaveLength(1);
      expect(node.attacks[0]).toMatchObject({ lanes: [lane], verdict: vector });
    },
  );

  test("handshakes that nobody finishes are a flood", () => {
    const lane: LaneId = `${wireguard(world)}:handshake`;
    const node = new SimulatedNode({
      ports: world.ports,
      tunnels: 5,
      mac1Keys: new Map([[world.vpn("wireguard"), world.mac1Key]]),
    });
    node.run(1_500);
    node.flows = [{ lane, pps: 5_000, packet: strangers(world, "wireguard") }];
    node.runUntilAttack(2 * SECOND);
    expect(node.attacks[0]).toMatchObject({ lanes: [lane], verdict: "wireguard_handshake_flood" });
  });
});
