import type { LaneId } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { describe, expect, test } from "vitest";
import { SimulatedNode } from "../test/node.ts";
import { attackPool, ordinaryPool, type Pool, strangers } from "../test/pools.ts";
import { World } from "../test/world.ts";
import { Baselines } from "./baseline.ts";
import { Limits } from "./limits.ts";

const START = Date.UTC(2026, 2, 2);
const world = new World(11, "training");
const { ports } = world;
const wireguard = `udp:${world.vpn("wireguard")}` as const;

/** Two days of steady traffic. */
function taught(rates: Record<string, number>, bits = 800): Baselines {
  const baselines = new Baselines();
  for (let at = START - 48 * 3_600_000; at <= START; at += 60_000) {
    for (const [lane, pps] of Object.entries(rates)) {
      baselines.learn(at, lane as LaneId, { pps, bps: pps * bits }, 60);
    }
  }
  return baselines;
}

function limitOf(lane: LaneId, baselines: Baselines, policy: Record<string, unknown> = {}) {
  const limits = new Limits(Policy.parse(policy), baselines);
  limits.at = START;
  return limits.of(lane);
}

describe("a threshold", () => {
  test("is the floor of a lane that has learned nothing", () => {
    expect(limitOf("host:udp", new Baselines())).toMatchObject({ pps: 20_000, bell: { pps: 20_000, burst: 1_000 } });
  });

  test("is what the policy multiplies the usual rate by, and a lane that is known may go below its first floor", () => {
    const { pps } = limitOf("host:udp", taught({ "host:udp": 2_000 }));
    expect(pps).toBeGreaterThan(5_000);
    expect(pps).toBeLessThan(6_000);
  });

  test("never goes below its floor where strangers come in gusts", () => {
    expect(limitOf(`${wireguard}:malformed`, taught({ [`${wireguard}:malformed`]: 1 })).pps).toBe(1_000);
  });

  const lane: LaneId = "host:icmp";
  test.each([
    ["a floor raises it", { floorsPps: { [lane]: 9_000 } }, 9_000],
    ["a floor below it changes nothing", { floorsPps: { [lane]: 10 } }, 5_401],
    ["a ceiling lowers it", { ceilingsPps: { [lane]: 2_500 } }, 2_500],
    ["a ceiling above it changes nothing", { ceilingsPps: { [lane]: 90_000 } }, 5_401],
    [
      "of floor and ceiling that cross, the ceiling holds",
      { floorsPps: { [lane]: 9_000 }, ceilingsPps: { [lane]: 70 } },
      70,
    ],
    ["a fixed threshold replaces all of it", { thresholdsPps: { [lane]: 77 }, floorsPps: { [lane]: 9_000 } }, 77],
  ])("set by hand: %s", (_, policy, pps) => {
    expect(limitOf(lane, taught({ [lane]: 2_000 }), policy).pps).toBe(pps);
  });
});

describe("three times the usual rate is seen within a second, whatever else the interface carries", () => {
  const junk = attackPool(world, "udp_flood");
  const cases: [LaneId, Pool][] = [
    ["host:icmp", attackPool(world, "icmp_flood")],
    ["host:udp", attackPool(world, "udp_flood")],
    ["host:syn", attackPool(world, "syn_flood")],
    ["host:reflected", attackPool(world, "dns_amplification")],
    ["host:esp", attackPool(world, "esp_flood")],
    ["host:fragment", attackPool(world, "udp_fragment_flood")],
    [`udp:${world.vpn("openvpn")}:handshake`, strangers(world, "openvpn")],
  ];
  test.each(cases)("%s", (lane, packet) => {
    const usual = { pps: 2_000, bytes: 100 };
    const baselines = taught({ [lane]: usual.pps, [`${wireguard}:data`]: 100_000 });
    const node = new SimulatedNode({ ports, baselines });
    // The junk is judged and mitigated; ordinary data is not sampled.
    node.flows = [
      { lane: `${wireguard}:malformed`, pps: 250_000, packet: junk },
      { lane: `${wireguard}:data`, pps: 100_000, bytes: 1_000 },
      { lane, ...usual, finished: 1 },
    ];
    node.run(3_333);
    expect(node.started.map(({ attack }) => attack.target)).toEqual([wireguard]);
    const from = node.now;
    node.flows.push({ lane, pps: usual.pps * 2, bytes: usual.bytes, packet });
    node.runUntilAttack(5_000);
    const found = node.changes.find(({ attack }) => attack.lanes.includes(lane));
    expect(found?.at, `attack on ${lane}`).toBeDefined();
    expect(found!.at - from).toBeLessThanOrEqual(1_000);
  });
});

describe("ordinary traffic that grows", () => {
  test.each([
    ["host:udp", "speedTest"],
    ["host:udp", "quicServer"],
    ["host:udp", "rtp"],
    ["host:tcp", "webServer"],
    ["host:tcp", "webClient"],
  ] as [LaneId, string][])("on %s by 12,000 a second for six seconds is no attack: %s", (lane, name) => {
    const node = new SimulatedNode({ ports, baselines: taught({ [lane]: 2_000 }) });
    node.flows = [{ lane, pps: 2_000, bytes: 100 }];
    node.run(2_500);
    const step = { lane, pps: 12_000, bytes: 1_450, packet: ordinaryPool(world, name) };
    node.flows.push(step);
    node.run(6_000);
    node.flows.pop();
    node.run(20_000, 5);
    expect(node.changes).toEqual([]);
    expect(node.detector.alert).toBe(false);
  });

  test("is looked at once a minute while it lasts, not all the time", () => {
    const node = new SimulatedNode({ ports, baselines: taught({ "host:tcp": 2_000 }) });
    node.flows = [{ lane: "host:tcp", pps: 14_000, bytes: 1_450, packet: ordinaryPool(world, "webClient") }];
    node.run(180_000, 5);
    expect(node.changes).toEqual([]);
    expect(node.readings.alert).toBeLessThan(node.readings.peace);
  });

  test("hides no flood that comes when it is over", () => {
    const lane: LaneId = "host:icmp";
    const node = new SimulatedNode({ ports, baselines: taught({ "host:tcp": 2_000, [lane]: 10 }) });
    node.flows = [{ lane: "host:tcp", pps: 60_000, bytes: 1_450, packet: ordinaryPool(world, "webClient") }];
    node.run(30_000, 5);
    expect(node.detector.threshold("host:tcp").pps).toBeGreaterThan(60_000);
    node.flows = [];
    node.run(61_000, 5);
    expect(node.detector.threshold("host:tcp").pps).toBeLessThan(10_000);
  });
});
