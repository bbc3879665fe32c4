import { vpnLane } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { describe, expect, test } from "vitest";
import { type Flow, SimulatedNode } from "../test/node.ts";
import { strangers } from "../test/pools.ts";
import { SimulatedServer } from "../test/server.ts";
import { World } from "../test/world.ts";
import { Baselines } from "./baseline.ts";
import { Comebacks } from "./comeback.ts";
import { Limits } from "./limits.ts";
import { Readings } from "./readings.ts";

type Protocol = "wireguard" | "openvpn";
const DAY_SECONDS = 86_400;

/** What was reported, in a line each. */
const told = (node: SimulatedNode) =>
  node.changes.map(({ kind, at, attack: { verdict, pps, evidence } }) =>
    [kind, new Date(at).toISOString(), verdict, pps, ...evidence].join("; "),
  );

/** A node with a server whose clients are connected. */
function running(protocol: Protocol, number: number, { counted = true, dataPps = 2 } = {}) {
  const world = new World(21, "training");
  const mac1Keys = new Map([[world.vpn("wireguard"), world.mac1Key]]);
  const node = new SimulatedNode({ ports: world.ports, mac1Keys });
  const server = new SimulatedServer(world, node, protocol, number);
  server.dataPps = dataPps;
  let now = 0;
  const seconds = (count: number, each: (second: number) => void = () => {}) => {
    for (let i = 0; i < count; i++, now++) {
      each(now);
      server.second(node, now);
      if (counted) node.tunnels = server.up ? server.online : null;
      // Fine steps only where a bell might ring.
      node.run(1_000, server.busy ? 10 : 250);
    }
  };
  const port = world.ports.find((known) => known.protocol === protocol)!;
  const flood = (pps: number): Flow => ({
    lane: vpnLane(port, "handshake"),
    pps,
    packet: strangers(world, protocol),
  });
  // They have come during an hour or so.
  for (let joined = 0; joined < number; joined++) {
    server.want(joined, now);
    seconds(1);
  }
  server.want(number, now);
  seconds(600);
  expect(server.online).toBe(number);
  expect(told(node)).toEqual([]);
  return { node, server, seconds, flood, now: () => now };
}

const counted = [
  ["their tunnels are counted", true],
  ["nobody counts tunnels", false],
] as const;

describe.each(["wireguard", "openvpn"] as const)("%s", (protocol) => {
  test.each(counted)("2,400 clients come back in 10 s, and no attack is reported: %s", (_, counted) => {
    const { node, server, seconds, now } = running(protocol, 2_400, { counted });
    server.up = false;
    server.lose(now() + 3, 10);
    seconds(3);
    server.up = true;
    seconds(600);
    expect(server.online).toBeGreaterThan(2_300);
    expect(told(node)).toEqual([]);
  });

  test.each(counted)("a server is down, and 3,000 clients ask for five minutes: no flood where %s", (_, counted) => {
    const { node, server, seconds, now } = running(protocol, 3_000, { counted });
    server.up = false;
    server.lose(now(), 10);
    let most = 0;
    seconds(300, () => {
      most = Math.max(
        most,
        node.detector.rates.get(`udp:${protocol === "openvpn" ? 1194 : 41194}:handshake`)?.pps ?? 0,
      );
    });
    expect(most).toBeGreaterThan(500);
    expect(told(node)).toEqual([]);
    server.up = true;
    seconds(600);
    expect(told(node)).toEqual([]);
  });

  test.each(counted)("a tenth of the clients lose their tunnels at once: no attack where %s", (_, counted) => {
    const { node, server, seconds, now } = running(protocol, 2_400, { counted });
    server.lose(now(), 2, 0.1);
    seconds(300);
    expect(told(node)).toEqual([]);
  });

  test.each(counted)("a flood of strangers is one, while the clients are there: %s", (_, counted) => {
    const { node, seconds, flood } = running(protocol, 300, { counted });
    node.flows.push(flood(1_500));
    seconds(10);
    expect(node.started).toHaveLength(1);
    expect(node.attacks[0]).toMatchObject({ verdict: `${protocol}_handshake_flood` });
  });

  test("a flood far above what its clients can be is one, also while the server is down", () => {
    const { node, server, seconds, flood, now } = running(protocol, 300);
    server.up = false;
    server.lose(now(), 10);
    seconds(30);
    expect(told(node)).toEqual([]);
    node.flows.push(flood(20_000));
    seconds(3);
    expect(node.started).toHaveLength(1);
  });
});

test("once a quarter of the tunnels is gone, who is missing explains handshakes until nearly all are back", () => {
  const { ports } = new World(21, "training");
  const lane = vpnLane(ports[0]!, "handshake");
  const limits = new Limits(Policy.parse({}), new Baselines());
  const readings = new Readings();
  const comebacks = new Comebacks();
  const missing = (tunnels: number | null) => {
    readings.tunnels = tunnels;
    comebacks.take(1, readings, limits, ports);
    return Math.round((comebacks.of(lane, readings, limits, ports)?.pps ?? 0) / 0.4);
  };
  expect([1_000, 990, 800].map(missing)).toEqual([0, 0, 0]);
  expect([200, null, null, 0, 200, 900, 960, 985].map(missing)).toEqual([788, 988, 988, 988, 788, 88, 28, 0]);
});

describe("where nobody counts tunnels, and there is too little data to miss,", () => {
  test("the clients of a server that is down are told by asking again", () => {
    const { node, server, seconds, now } = running("wireguard", 4_000, { counted: false, dataPps: 0.1 });
    server.up = false;
    server.lose(now(), 5);
    seconds(300);
    expect(told(node)).toEqual([]);
    expect(node.detector.threshold("udp:41194:handshake").pps).toBeGreaterThan(1_000);
  });

  test("strangers who never do are a flood, though the server is down", () => {
    const { node, server, seconds, flood } = running("wireguard", 20, { counted: false });
    server.up = false;
    seconds(20);
    node.flows.push(flood(800));
    node.run(10_000, 10);
    expect(node.started).toHaveLength(1);
    expect(node.attacks[0]).toMatchObject({ verdict: "wireguard_handshake_flood" });
  });
});

test("handshakes of known peers, where the kernel counts them, are no flood", () => {
  const { node, seconds, flood } = running("wireguard", 20);
  node.flows.push({ ...flood(1_500), known: 0.8 });
  seconds(20);
  expect(told(node)).toEqual([]);
});

describe("twenty-four ordinary hours", () => {
  test.each([
    ["openvpn", true],
    ["openvpn", false],
    ["wireguard", true],
  ] as const)("of %s, tunnels counted: %s, raise no alarm", (protocol, counted) => {
    const { node, server, seconds, now } = running(protocol, 2_400, { counted });
    const world = new World(8, "training");
    const lane = `udp:${world.vpn(protocol)}:handshake` as const;
    const wrongKeys: Flow = { lane, pps: 0 };
    const scanner: Flow = { lane, pps: 1 };
    node.flows.push(wrongKeys, scanner);
    const from = now();
    seconds(DAY_SECONDS, (second) => {
      const hour = ((second - from) / 3_600) % 24;
      // Four times as many by day as by night; a restart of the daemon in the afternoon, and a lost site in the evening.
      if (second % 60 === 0) server.want(Math.round(1_500 + 900 * Math.cos((hour / 24) * 2 * Math.PI)), second);
      if (second - from === 14 * 3_600) server.lose(second, 10);
      if (second - from === 20 * 3_600) server.lose(second, 2, 0.08);
      if (world.chance(0.02)) server.lose(second, 1, 0.001);
      wrongKeys.pps = world.chance(0.5) ? world.int(0, 12) : 3;
    });
    expect(told(node)).toEqual([]);
    // And it has not been awake for it.
    expect(node.readings.alert).toBeLessThan(node.readings.peace * 0.1);
  });
});
