import { hostLane, type LaneId, type VpnPort } from "@flowtriq/protocol/lane";
import type { HostFacts } from "./facts.ts";
import { type Chain, toLane } from "./lane-chains.ts";
import { ASKED_RULES, learnRules, REFLECTOR_SET, TCP_RULES } from "./learn.ts";
import { lateLeaseMap, learnChain, PORT_MAP, portChain, sentCounter } from "./names.ts";
import { recordChain } from "./record.ts";

/** Hook priority at ingress: before every usual chain, so that a drop costs no connection tracking. */
const INGRESS_PRIORITY = -500;
/** Without an ingress hook: before connection tracking (-200) and defragmentation (-400). */
const PREROUTING_PRIORITY = -450;
/** Behind connection tracking and destination NAT (-100). */
const TRACKED_PRIORITY = -90;
/** Before connection tracking. */
const RAW_PRIORITY = -300;
const LEARN_PRIORITY = -350;
/** After source NAT (100), so that what is learned is what the wire carries. */
const ASKED_PRIORITY = 310;

const isUdp = (port: VpnPort) => port.transport === "udp";

/** Everything that is not for a VPN port, by protocol. Fragments first: a later one has no ports to look at. */
export function hostChain(facts: HostFacts): Chain {
  const tcpPorts = facts.ports.filter((port) => port.transport === "tcp");
  const host = (cls: Parameters<typeof hostLane>[0]) => toLane(hostLane(cls));
  return {
    name: "host",
    rules: [
      `ip frag-off & 0x3fff != 0 ${host("fragment")}`,
      `exthdr frag exists ${host("fragment")}`,
      `tcp flags & (fin | syn | rst | ack) == syn ${host("syn")}`,
      `tcp flags & (syn | ack) == (syn | ack) ip saddr . tcp sport @askedtcp4 ${host("tcp")}`,
      `tcp flags & (syn | ack) == (syn | ack) ip6 saddr . tcp sport @askedtcp6 ${host("tcp")}`,
      `tcp flags & (syn | ack) == (syn | ack) ${host("synack")}`,
      ...tcpPorts.map((port) => `tcp dport ${port.port} goto ${portChain(port)}`),
      `tcp flags & rst == rst ${host("rst")}`,
      `meta l4proto tcp ${host("tcp")}`,
      `udp sport ${REFLECTOR_SET} ip saddr . udp sport @asked4 ${host("udp")}`,
      `udp sport ${REFLECTOR_SET} ip6 saddr . udp sport @asked6 ${host("udp")}`,
      `udp sport ${REFLECTOR_SET} ${host("reflected")}`,
      `meta l4proto udp ${host("udp")}`,
      `meta l4proto { icmp, ipv6-icmp } ${host("icmp")}`,
      "ip saddr . meta l4proto @proto4 accept",
      "ip6 saddr . meta l4proto @proto6 accept",
      "meta l4proto esp ip saddr @ipsec4 accept",
      "meta l4proto esp ip6 saddr @ipsec6 accept",
      `meta l4proto gre ${host("gre")}`,
      `meta l4proto esp ${host("esp")}`,
      `meta l4proto ah ${host("ah")}`,
      host("protocol"),
    ],
  };
}

export function hookChains(facts: HostFacts): Chain[] {
  const udpPorts = facts.ports.filter(isUdp);
  const learnMap = udpPorts.map((port) => `${port.port} : goto ${learnChain(port)}`).join(", ");
  const names = facts.interfaces.map((name) => `"${name}"`).join(", ");
  const enter = [...enterPorts(udpPorts), "goto host"];
  const entry: Chain =
    facts.hook === "ingress"
      ? {
          name: "observe",
          hook: `type filter hook ingress devices = { ${names} } priority ${INGRESS_PRIORITY}; policy accept;`,
          rules: enter,
        }
      : {
          name: "observe",
          hook: `type filter hook prerouting priority ${PREROUTING_PRIORITY}; policy accept;`,
          rules: [`iifname != { ${names} } accept`, ...enter],
        };
  return [
    entry,
    recordChain(facts),
    ...(facts.conntrack ? [trackedChain(facts, names)] : []),
    ...(facts.notrack && udpPorts.length > 0 ? untrackedChains(udpPorts, names) : []),
    ...udpPorts.map((port) => ({
      name: learnChain(port),
      rules: [`counter name ${sentCounter(port)}`, ...learnRules(port)],
    })),
    {
      name: "learn",
      hook: `type filter hook output priority ${LEARN_PRIORITY}; policy accept;`,
      rules: [
        ...(learnMap ? [`udp sport vmap { ${learnMap} }`] : []),
        "meta l4proto udp update @asked4 { ip daddr . udp dport }",
        "meta l4proto udp update @asked6 { ip6 daddr . udp dport }",
        ...TCP_RULES,
      ],
    },
    {
      name: "asked",
      hook: `type filter hook postrouting priority ${ASKED_PRIORITY}; policy accept;`,
      rules: ASKED_RULES,
    },
  ];
}

/** A port whose element was a lease that has run out is looked up below. */
function enterPorts(ports: VpnPort[]): string[] {
  if (ports.length === 0) return [];
  const all = ports.map((port) => `${port.port} : goto ${portChain(port)}`).join(", ");
  return [`udp dport vmap @${PORT_MAP}`, `udp dport vmap { ${all} }`];
}

/** Tracking costs a packet two to three times what all of its other processing does. */
function untrackedChains(ports: VpnPort[], names: string): Chain[] {
  const list = ports.map(({ port }) => port).join(", ");
  return [
    {
      name: "untracked_in",
      hook: `type filter hook prerouting priority ${RAW_PRIORITY}; policy accept;`,
      rules: [`iifname { ${names} } udp dport { ${list} } notrack`],
    },
    {
      name: "untracked_out",
      hook: `type filter hook output priority ${RAW_PRIORITY}; policy accept;`,
      rules: [`udp sport { ${list} } notrack`],
    },
  ];
}

/**
 * Where connections are tracked, what belongs to none: packets of the host's own connections and of those that it translates for its
 * clients have gone by, and so has what it forwards to a port that a client opened.
 */
function trackedChain(facts: HostFacts, names: string): Chain {
  const enter = (guard: string, lane: LaneId) => `${guard} meta nfproto vmap @${lateLeaseMap(lane)}`;
  const vpn = (["udp", "tcp"] as const).flatMap((transport) => {
    const ports = facts.ports.filter((port) => port.transport === transport).map(({ port }) => port);
    return ports.length > 0 ? [`${transport} dport { ${ports.join(", ")} } accept`] : [];
  });
  return {
    name: "tracked",
    hook: `type filter hook prerouting priority ${TRACKED_PRIORITY}; policy accept;`,
    rules: [
      `iifname != { ${names} } accept`,
      "ct state { established, related, untracked } accept",
      "ct status dnat accept",
      ...vpn,
      enter("meta l4proto udp", hostLane("udp")),
      "tcp flags & syn == syn accept",
      enter("tcp flags & rst == rst", hostLane("rst")),
      enter("meta l4proto tcp", hostLane("tcp")),
    ],
  };
}
