import { VpnPort } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import { leaseSets, leasesOf } from "./leases.ts";
import { NO_PLAN } from "./plan.ts";

const wireguard = VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" });
const ike = VpnPort.parse({ port: 500, transport: "udp", protocol: "ike" });
const context = { ports: [wireguard, ike], conntrack: false };
const of = (plan: Partial<typeof NO_PLAN>, facts: { ports: VpnPort[]; conntrack: boolean } = context) =>
  new Map(leasesOf({ ...NO_PLAN, ...plan }, facts, 15).map(({ set, elements }) => [set, elements]));

test("in peace every port is sorted by its own chain, for good", () => {
  expect([...of({})]).toEqual([
    [
      "ports",
      [
        { key: 51820, chain: "udp_51820" },
        { key: 500, chain: "udp_500" },
      ],
    ],
  ]);
});

test("a lane that drops is entered by both address families, and for a time only", () => {
  expect(of({ armed: ["udp:51820:handshake"] }).get("v_udp_51820_handshake")).toEqual([
    { key: "ipv4", chain: "m_udp_51820_handshake", seconds: 15 },
    { key: "ipv6", chain: "m_udp_51820_handshake", seconds: 15 },
  ]);
  expect(of({ watched: ["udp:51820:handshake"] }).get("v_udp_51820_handshake")?.[0]?.chain).toBe(
    "o_udp_51820_handshake",
  );
});

test("junk goes first on a port whose strangers are dropped, and only there, and only while they are", () => {
  const siege = of({ armed: ["udp:51820:malformed", "udp:500:malformed"] });
  expect(siege.get("ports")).toEqual([
    { key: 51820, chain: "siege_udp_51820", seconds: 15 },
    { key: 500, chain: "udp_500" },
  ]);
  expect(of({ watched: ["udp:51820:malformed"] }).get("ports")?.[0]).toEqual({ key: 51820, chain: "udp_51820" });
  const disguised = { ...context, ports: [{ ...wireguard, strictness: "lenient" as const }] };
  expect(of({ armed: ["udp:51820:malformed"] }, disguised).get("ports")?.[0]?.chain).toBe("udp_51820");
});

test("sessions are held to budgets in a chain of their own", () => {
  expect(of({ armed: ["udp:51820:data"] }).get("ports")?.[0]?.chain).toBe("budget_udp_51820");
  expect(of({ watched: ["udp:51820:data"] }).get("ports")?.[0]?.chain).toBe("budget_udp_51820");
});

test("what is judged behind connection tracking passes ingress and is dropped there", () => {
  const tracked = of({ armed: ["host:udp"] }, { ...context, conntrack: true });
  expect(tracked.get("v_host_udp")?.[0]?.chain).toBe("q_host_udp");
  expect(tracked.get("t_host_udp")?.[0]?.chain).toBe("m_host_udp");
  expect(of({ armed: ["host:udp"] }).has("t_host_udp")).toBe(false);
});

test("sets for leases are those of the host as it is: behind connection tracking only where there is any", () => {
  const sets = [...leaseSets(context)];
  expect(sets).toEqual(
    expect.arrayContaining(["ports", "v_udp_51820_malformed", "f_udp_51820_malformed", "v_host_udp"]),
  );
  expect(sets).not.toContain("t_host_udp");
  expect([...leaseSets({ ...context, conntrack: true })]).toContain("t_host_udp");
});
