import { execFileSync } from "node:child_process";
import type { VpnPort } from "@flowtriq/protocol/lane";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostFacts } from "../src/facts.ts";
import { toNftables, toRemoval } from "../src/nftables.ts";

const isRoot = process.getuid?.() === 0;
const NAMESPACE = `mit-${process.pid}`;

const ports = (
  [
    [51820, "wireguard"],
    [51821, "wireguard", "lenient"] as const,
    [1194, "openvpn"],
    [500, "ike"],
    [4500, "ipsec_nat_t"],
    [1701, "l2tp"],
    [5555, "softether"],
    [9999, "other"],
  ] as const
).map(
  ([port, protocol, strictness = "auto" as VpnPort["strictness"]]): VpnPort => ({
    port,
    transport: "udp",
    protocol,
    strictness,
  }),
);

const facts: HostFacts = {
  table: "guardtest",
  interfaces: ["eth0", "eth1"],
  ports: [...ports, { port: 443, transport: "tcp", protocol: "openvpn", strictness: "auto" }],
  hook: "ingress",
  nflogGroup: 4817,
  recordGroup: 4818,
  busy: false,
  samplesPerSecond: 200,
  trips: () => ({ pps: 1000, burst: 100 }),
  seeds: [
    { address: "192.0.2.7", port: 40000 },
    { address: "2001:db8::7", port: 40000 },
  ],
  connections: [],
  localAddresses: ["192.0.2.1", "2001:db8::1"],
  listeningUdp: [53],
  conntrack: false,
  notrack: false,
  greylist: 65_536,
  neverBlock: ["198.51.100.0/24", "2001:db8:1::/48"],
};

const inside = (argv: string[], input?: string) =>
  execFileSync("ip", ["netns", "exec", NAMESPACE, ...argv], {
    input,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe"],
  });
const load = (script: string) => inside(["nft", "-f", "-"], script);
const ruleset = () => inside(["nft", "list", "ruleset"]);

// Without root there is no kernel to ask; the rest of the suite says so too.
describe.skipIf(!isRoot)("in the kernel", () => {
  beforeEach(() => {
    execFileSync("ip", ["netns", "add", NAMESPACE]);
    execFileSync("ip", ["-n", NAMESPACE, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]);
  });
  afterEach(() => {
    execFileSync("ip", ["netns", "del", NAMESPACE]);
  });

  test.each([
    ["ingress", false],
    ["prerouting", false],
    ["ingress", true],
  ] as const)(
    "every protocol's rules load on the %s hook (connection tracking: %s), and again over themselves",
    (hook, conntrack) => {
      load(toNftables({ ...facts, hook, conntrack, notrack: conntrack }));
      const first = ruleset();
      load(toNftables({ ...facts, hook, conntrack, notrack: conntrack }));
      const again = ruleset();
      const stable = (text: string) => text.replaceAll(/expires \S+/g, "");
      expect(stable(again)).toBe(stable(first));
      expect(first).toContain("guardtest");
    },
  );

  test("an operator's rules are the same before, during and after", () => {
    load(
      "table inet operator { chain input { type filter hook input priority 0; policy accept; tcp dport 22 accept\n}\n}\n",
    );
    const before = ruleset();
    load(toNftables(facts));
    const during = inside(["nft", "list", "table", "inet", "operator"]);
    load(toRemoval(facts.table));
    expect(ruleset()).toBe(before);
    expect(before).toContain(during.trim());
  });

  test("a host that stops tracking connections is left without the chains for it", () => {
    load(toNftables({ ...facts, conntrack: true, notrack: true }));
    expect(ruleset()).toContain("chain tracked");
    load(toNftables(facts));
    expect(ruleset()).not.toMatch(/chain (un)?tracked/);
  });

  test("an IPsec peer that is known beforehand may send ESP and IKE from any port of its address, others from theirs", () => {
    const seeds = [
      ...facts.seeds,
      { address: "192.0.2.8", port: 4500, ipsec: true },
      // Two users behind one address and port are one element.
      { address: "192.0.2.8", port: 4500, ipsec: true },
      { address: "2001:db8::8", port: 4500, ipsec: true },
    ];
    load(toNftables({ ...facts, seeds }));
    const elements = (set: string) => inside(["nft", "list", "set", "inet", "guardtest", set]);
    expect(elements("peer4")).toContain("192.0.2.8 . 4500");
    expect(elements("peer6")).toContain("2001:db8::8 . 4500");
    expect(elements("ipsec4")).toContain("192.0.2.8");
    expect(elements("ipsec6")).toContain("2001:db8::8");
    expect(elements("ipsec4")).not.toContain("192.0.2.7");
  });

  test("learned peers survive a reload, and a prefix that is no longer spared is gone", () => {
    load(toNftables(facts));
    load("add element inet guardtest wg_index { 0x01020304 }");
    load(toNftables({ ...facts, seeds: [], neverBlock: [] }));
    expect(inside(["nft", "list", "set", "inet", "guardtest", "wg_index"])).toContain("0x1020304");
    expect(inside(["nft", "list", "set", "inet", "guardtest", "peer4"])).toContain("192.0.2.7 . 40000");
    expect(inside(["nft", "list", "set", "inet", "guardtest", "never4"])).not.toContain("198.51.100.0");
  });
});
