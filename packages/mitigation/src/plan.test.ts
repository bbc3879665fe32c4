import type { VpnPort } from "@flowtriq/protocol/lane";
import { DEFAULT_POLICY, Policy } from "@flowtriq/protocol/policy";
import { expect, test } from "vitest";
import { lanesOf } from "./lanes.ts";
import { mitigationOf } from "./mitigations.ts";
import { type PlannedAttack, plan } from "./plan.ts";

const ports: VpnPort[] = [{ port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" }];
const context = { ports, conntrack: false };
const enforce = Policy.parse({ mode: "enforce" });
const flood: PlannedAttack = { id: "atk_1", verdict: "udp_flood", lanes: ["udp:51820:malformed"], withdrawn: false };

test("an attack arms its lanes, and its port's other lanes of strangers, in enforce mode; observe mode only counts", () => {
  const lanes = ["udp:51820:malformed", "udp:51820:unissued", "udp:51820:control"];
  expect(plan(enforce, [flood], context)).toMatchObject({ armed: lanes, watched: [] });
  expect(plan(DEFAULT_POLICY, [flood], context)).toMatchObject({ armed: [], watched: lanes });
});

test("who was asked in the host's name refuses too: with the answers, refusals of no connection are dropped", () => {
  const reflection: PlannedAttack = { ...flood, verdict: "syn_ack_reflection", lanes: ["host:synack"] };
  expect(plan(enforce, [reflection], context).armed).toEqual(["host:synack", "host:rst"]);
  expect(plan(enforce, [{ ...flood, lanes: ["host:rst"] }], context).armed).toEqual(["host:rst"]);
});

test("waiting for approval drops nothing", () => {
  expect(plan(Policy.parse({ mode: "approve" }), [flood], context).armed).toEqual([]);
});

test("a vector's own mode goes before the policy's", () => {
  const policy = Policy.parse({ mode: "enforce", vectorModes: { udp_flood: "observe" } });
  expect(plan(policy, [flood], context).armed).toEqual([]);
});

test("before anything is judged, the kernel holds a lane only where every vector would be dropped", () => {
  const mixed = Policy.parse({ mode: "enforce", vectorModes: { wireguard_handshake_flood: "observe" } });
  expect(plan(enforce, [], context).firstAid).toContain("udp:51820:handshake");
  expect(plan(mixed, [], context).firstAid).toEqual([]);
  expect(plan(DEFAULT_POLICY, [], context).firstAid).toEqual([]);
});

test("a reconnect storm is never dropped", () => {
  const storm: PlannedAttack = { ...flood, verdict: "reconnect_storm", lanes: ["udp:51820:handshake"] };
  expect(plan(enforce, [storm], context).armed).toEqual([]);
});

test("rules withdrawn by hand stay away", () => {
  expect(plan(enforce, [{ ...flood, withdrawn: true }], context).armed).toEqual([]);
});

test("every lane of a WireGuard host has a mitigation", () => {
  const without = lanesOf(ports).filter((lane) => !mitigationOf(lane, context));
  expect(without).toEqual([]);
});

test.each([true, false])(
  "a connection that the host has is spared by the rules for stray segments (tracking: %s)",
  (conntrack) => {
    for (const lane of ["host:tcp", "host:rst"] as const) {
      const { rules } = mitigationOf(lane, { ports, conntrack })!;
      const known = rules.findIndex((rule) => rule.includes("@tcppeer4 accept"));
      expect(known).toBeGreaterThanOrEqual(0);
      expect(known).toBeLessThan(rules.indexOf("drop"));
    }
  },
);
