import type { LaneId } from "@flowtriq/protocol/lane";
import { describe, expect, test } from "vitest";
import { type Flow, SimulatedNode } from "../test/node.ts";
import { strangers } from "../test/pools.ts";
import { World } from "../test/world.ts";

const world = new World(5, "training");
const { ports } = world;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

const lane = (protocol: "wireguard" | "openvpn" | "ike", cls: "handshake" | "data" = "handshake"): LaneId =>
  `udp:${world.vpn(protocol)}:${cls}`;
/** Clients log in and are let in; an OpenVPN server needs some packets for each, and renews sessions meanwhile. */
const logins = (protocol: "wireguard" | "openvpn" | "ike", pps: number): Flow[] => [
  { lane: lane(protocol), pps, finished: protocol === "openvpn" ? 6 : 1 },
  { lane: lane(protocol, "data"), pps: 2_000, bytes: 800, sent: 0 },
];
const flood = (protocol: "wireguard" | "openvpn" | "ike", pps: number, more: Partial<Flow> = {}): Flow => ({
  lane: lane(protocol),
  pps,
  packet: strangers(world, protocol),
  ...more,
});

describe("openings that are never finished are told within ten seconds, far below any volume", () => {
  test.each([
    ["15 OpenVPN resets a second", "openvpn", 15, 0],
    ["100 OpenVPN resets a second", "openvpn", 100, 0],
    ["400 OpenVPN resets a second", "openvpn", 400, 0],
    ["30 IKE openings a second", "ike", 30, 0],
    ["300 IKE openings a second", "ike", 300, 0],
    ["100 WireGuard initiations a second that put the server under load", "wireguard", 100, 0.5],
  ] as const)("%s", (_, protocol, pps, cookies) => {
    const node = new SimulatedNode({ ports });
    node.flows = logins(protocol, 1);
    node.run(5 * MINUTE, 10);
    const from = node.now;
    // The server keeps answering somebody: its own sessions.
    node.flows.push(flood(protocol, pps, { cookies, sent: 0.1 }));
    node.runUntilAttack(30 * SECOND, 10);
    expect(node.started).toHaveLength(1);
    expect(node.started[0]!.at - from).toBeLessThanOrEqual(10 * SECOND);
    expect(node.attacks[0]).toMatchObject({ verdict: "handshake_starvation", lanes: [lane(protocol)] });
    node.run(5 * SECOND, 10);
    const told = node.changes.find(({ kind }) => kind === "classified");
    expect(told?.attack.verdict).toBe("handshake_starvation");
    expect(told?.attack.evidence[0]).toMatch(
      /^\d+ handshakes were opened in [\d.]+ s, [\d.]+ a second more than were finished$/,
    );
    expect(told?.attack.evidence[1]).toMatch(/the server answered with \d+ of the packets that finish one/);
  });

  test("also while other clients still get in, and other lanes are flooded", () => {
    const node = new SimulatedNode({ ports });
    node.flows = logins("openvpn", 3);
    node.run(5 * MINUTE, 10);
    const from = node.now;
    node.flows.push(flood("openvpn", 40), { lane: "host:reflected", pps: 200 });
    node.runUntilAttack(30 * SECOND, 10);
    expect(node.attacks[0]).toMatchObject({ verdict: "handshake_starvation" });
    expect(node.started[0]!.at - from).toBeLessThanOrEqual(10 * SECOND);
  });

  test("also if they grow so slowly that they might pass for usual: by one a second each five minutes", () => {
    const node = new SimulatedNode({ ports });
    node.flows = logins("openvpn", 1);
    node.run(10 * MINUTE, 250);
    const from = node.now;
    node.flows.push(flood("openvpn", 0, { pps: (at) => Math.floor((at - from) / (5 * MINUTE)) }));
    node.runUntilAttack(180 * MINUTE, 250);
    expect(node.attacks[0]).toMatchObject({ verdict: "handshake_starvation" });
    expect(node.now - from).toBeLessThan(90 * MINUTE);
  });

  test("on a kernel that counts no more than what is finished", () => {
    const node = new SimulatedNode({ ports });
    node.uncounted = ["sent", "cookies", "known"];
    node.flows = logins("openvpn", 1);
    node.run(2 * MINUTE, 10);
    node.flows.push(flood("openvpn", 20));
    node.runUntilAttack(10 * SECOND, 10);
    expect(node.attacks[0]).toMatchObject({ verdict: "handshake_starvation" });
  });

  test("it ends on what opened it: when the openings are finished again, whatever else the lane carries", () => {
    const node = new SimulatedNode({ ports });
    node.flows = logins("openvpn", 1);
    node.run(2 * MINUTE, 10);
    const attack = flood("openvpn", 50);
    node.flows.push(attack);
    node.run(40 * SECOND, 10);
    expect(node.attacks).toHaveLength(1);
    node.flows = node.flows.filter((flow) => flow !== attack);
    node.run(40 * SECOND, 10);
    expect(node.attacks).toEqual([]);
    expect(node.started).toHaveLength(1);
  });

  test("one that swells into a flood is called a flood", () => {
    const node = new SimulatedNode({ ports });
    node.flows = logins("openvpn", 1);
    node.run(2 * MINUTE, 10);
    node.flows.push(flood("openvpn", 50));
    node.run(30 * SECOND, 10);
    node.flows.push(flood("openvpn", 5_000));
    node.run(10 * SECOND, 5);
    expect(node.started).toHaveLength(1);
    expect(node.attacks[0]).toMatchObject({ verdict: "openvpn_handshake_flood" });
  });
});

describe("is no starvation:", () => {
  const quiet = (protocol: "wireguard" | "openvpn" | "ike", flows: Flow[], prepare?: (node: SimulatedNode) => void) => {
    const node = new SimulatedNode({ ports });
    node.flows = logins(protocol, 1);
    node.run(3 * MINUTE, 10);
    prepare?.(node);
    node.flows.push(...flows);
    node.run(2 * MINUTE, 10);
    expect(node.changes).toEqual([]);
  };
  const retries: Flow = { lane: lane("openvpn"), pps: 8 };

  test("a few clients with a wrong key, who try for ever", () => quiet("openvpn", [retries]));
  test("a wrong password: the handshake is finished all the same", () =>
    quiet("openvpn", [{ lane: lane("openvpn"), pps: 40, finished: 5 }]));
  test("a scanner", () => quiet("ike", [{ lane: lane("ike"), pps: 1 }]));
  test("initiations that the server makes nothing of, as long as it is not under load", () =>
    quiet("wireguard", [flood("wireguard", 60)]));
  test("cookies to a crowd that gets in", () =>
    quiet("wireguard", [{ lane: lane("wireguard"), pps: 200, finished: 0.9, cookies: 0.2 }]));
  test("a server that is down and sends nothing", () =>
    quiet("openvpn", [flood("openvpn", 60)], (node) => {
      node.flows = [];
      node.run(10 * SECOND, 10);
    }));
  test("IPsec behind NAT: what opens on 500 is finished on 4500", () =>
    quiet(
      "ike",
      [
        { lane: lane("ike"), pps: 80 },
        { lane: "udp:4500:control", pps: 80 },
      ],
      (node) => node.answers.set("udp:4500:handshake", { finished: 80, sent: 80 }),
    ));
});
