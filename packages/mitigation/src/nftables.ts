import { hostLane, type LaneId, type VpnPort } from "@flowtriq/protocol/lane";
import type { HostFacts } from "./facts.ts";
import { lanesOf } from "./lanes.ts";
import { ASKED_RULES, learnRules, REFLECTOR_SET, TCP_RULES } from "./learn.ts";
import { firstAidOf, type LaneMitigation, mitigationOf, withVerdict } from "./mitigations.ts";
import {
  armedSet,
  arrivedCounter,
  cookieCounter,
  droppedCounter,
  finishedCounter,
  firstAidSet,
  LOOKED_AT_ONE_IN,
  learnChain,
  metCounter,
  nameOf,
  observedCounter,
  oddCounter,
  portChain,
  sentCounter,
  watchedSet,
} from "./names.ts";
import { portRules } from "./ports.ts";
import { recordChain } from "./record.ts";
import { GIVEN_SETS, givenElements, learnedSets, seedElements, sparing } from "./sets.ts";

const COMPARED_PORTS = 4;
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

/** As far as the mac1 of a WireGuard initiation over IPv6. */
const SAMPLE_BYTES = 192;
/** Samples that one lane may hand up at once, and all lanes together. */
const LANE_BURST = 64;
const TOTAL_BURST = 200;
/**
 * Parts of all samples that one lane gets: many while it is judged, few once its mitigation stands. Each sample costs the agent
 * more than a reading of all counters, and after the first 48 they only show whether the attack changes its face.
 */
const SHARE = { judged: 1 / 4, mitigated: 1 / 20 };
const MITIGATED_BURST = 48;
/** A limit or a look into a set costs a packet some 70 to 100 ns, so only one in so many pays for it where there are many. */
const ONE_IN = `numgen inc mod ${LOOKED_AT_ONE_IN} 0`;

/**
 * The whole table, as one transaction for `nft -f`: learned sets, counters and leases of a table that stands already live
 * on, its chains are emptied and written anew. Known peers are seeded in the same transaction, so nobody who is connected
 * notices.
 */
export function toNftables(facts: HostFacts): string {
  const lanes = lanesOf(facts.ports);
  const chains = [
    ...lanes.flatMap((lane) => laneChains(lane, facts)),
    ...facts.ports.map((port): Chain => ({ name: portChain(port), rules: portRules(port) })),
    hostChain(facts),
    ...hookChains(facts),
  ];
  const table = `inet ${facts.table}`;
  return [
    `table ${table} {`,
    ...learnedSets(facts).map(indent),
    ...GIVEN_SETS.map(indent),
    indent(`limit sampler { rate ${facts.samplesPerSecond}/second burst ${TOTAL_BURST} packets; }`),
    ...lanes.flatMap((lane) => laneObjects(lane, facts)).map(indent),
    ...facts.ports
      .filter(isUdp)
      .flatMap((port) => [finishedCounter, oddCounter, sentCounter, cookieCounter].map((named) => counter(named(port))))
      .map(indent),
    ...chains.map(({ name, hook }) => indent(`chain ${name} { ${hook ?? ""} }`)),
    "}",
    ...chains.map(({ name }) => `flush chain ${table} ${name}`),
    ...OPTIONAL_CHAINS.filter((name) => !chains.some((chain) => chain.name === name)).flatMap((name) =>
      // Deleting what is not there would fail, adding what is there does not.
      ["add", "flush", "delete"].map((verb) => `${verb} chain ${table} ${name}`),
    ),
    `table ${table} {`,
    ...chains.flatMap(({ name, rules }) => [`chain ${name} {`, ...rules.map(indent), "}"].map(indent)),
    "}",
    ...givenElements(facts),
    ...seedElements(facts),
    "",
  ].join("\n");
}

/** Chains with a hook of their own that a table of other facts may have left. */
const OPTIONAL_CHAINS = ["tracked", "untracked_in", "untracked_out"];

/** Removes everything of ours. */
export const toRemoval = (table: string): string => `delete table inet ${table}\n`;

/** Takes the entry chain off its interfaces, to be followed by the whole table in the same transaction. */
export const toUnhooking = (table: string): string =>
  `flush chain inet ${table} observe\ndelete chain inet ${table} observe\n`;

const isData = (lane: LaneId) => lane.endsWith(":data");
const isUdp = (port: VpnPort) => port.transport === "udp";

type Chain = { name: string; hook?: string; rules: string[] };
const indent = (line: string) => `  ${line}`;
const counter = (name: string) => `counter ${name} { }`;

function laneObjects(lane: LaneId, facts: HostFacts): string[] {
  if (!mitigationOf(lane, facts)) return [counter(arrivedCounter(lane))];
  return [
    ...[arrivedCounter, droppedCounter, observedCounter, metCounter].map((name) => counter(name(lane))),
    // The dead-man switch: an element is the lease of one address family; when it runs out the lane is open again.
    ...[armedSet, watchedSet, ...(firstAidOf(lane) ? [firstAidSet] : [])].map(
      (name) => `set ${name(lane)} { type nf_proto; flags timeout; }`,
    ),
  ];
}

/** Counts a lane, wakes the agent when its rate trips, and enters the mitigation while the lane is armed. */
function laneChains(lane: LaneId, facts: HostFacts): Chain[] {
  const name = nameOf(lane);
  const { pps, burst } = facts.trips(lane);
  const sample = (share: number, sampleBurst: number) =>
    `limit rate ${Math.max(1, Math.floor(facts.samplesPerSecond * share))}/second burst ${sampleBurst} packets ` +
    `limit name "sampler" log prefix "${lane}" group ${facts.nflogGroup} snaplen ${SAMPLE_BYTES} queue-threshold 1`;
  const looked = { name: `s_${name}`, rules: [...metRules(lane), sample(SHARE.mitigated, MITIGATED_BURST)] };
  const count = `counter name ${arrivedCounter(lane)}`;
  const over = `limit rate over ${pps}/second burst ${burst} packets`;
  // The data lane is the one on which there is much in peace; its threshold is far above what a sixteenth could blur.
  const few = (value: number) => Math.max(1, Math.ceil(value / LOOKED_AT_ONE_IN));
  const overSome = `${ONE_IN} limit rate over ${few(pps)}/second burst ${few(burst)} packets`;
  const trip = `${isData(lane) ? overSome : over} ${sample(SHARE.judged, LANE_BURST)}`;
  const mitigation = mitigationOf(lane, facts);
  if (!mitigation) return [{ name: `l_${name}`, rules: [count, trip, "accept"] }];
  const spare = sparing(facts.neverBlock);
  const mitigated = `${ONE_IN} jump ${looked.name}`;
  const enter = (chain: (kind: "m" | "o") => string) => [
    `meta nfproto @${armedSet(lane)} goto ${chain("m")}_${name}`,
    `meta nfproto @${watchedSet(lane)} goto ${chain("o")}_${name}`,
  ];
  if (mitigation.tracked) {
    return [
      looked,
      ...mitigationChains(lane, mitigation, spare),
      { name: `q_${name}`, rules: [mitigated, "accept"] },
      { name: `l_${name}`, rules: [count, ...enter(() => "q"), trip] },
    ];
  }
  return [
    looked,
    ...mitigationChains(lane, mitigation, [mitigated, ...spare]),
    { name: `l_${name}`, rules: [count, ...enter((kind) => kind), trip, ...firstAidRules(lane, pps, spare)] },
  ];
}

/** The rules twice, `m_` to drop and `o_` to count what would be dropped, with the chains that they branch to. */
function mitigationChains(lane: LaneId, { rules, branches = {} }: LaneMitigation, before: string[]): Chain[] {
  return (["m", "o"] as const).flatMap((kind) => {
    const name = `${kind}_${nameOf(lane)}`;
    const [hits, verdict] =
      kind === "m" ? [droppedCounter(lane), "drop" as const] : [observedCounter(lane), "accept" as const];
    const compile = (list: string[]) =>
      list.map((rule) => withVerdict(rule, hits, verdict).replace("goto :", `goto ${name}_`));
    return [
      ...Object.entries(branches).map(([branch, list]) => ({ name: `${name}_${branch}`, rules: compile(list) })),
      { name, rules: [...before, ...compile(rules)] },
    ];
  });
}

/** Whether those whom the rules see include addresses of peers that once finished a handshake: one packet in so many is looked up. */
function metRules(lane: LaneId): string[] {
  return [`ip saddr @met4 counter name ${metCounter(lane)}`, `ip6 saddr @met6 counter name ${metCounter(lane)}`];
}

/** Never below the lane's own threshold, so that what is normal here is not cut. */
function firstAidRules(lane: LaneId, thresholdPps: number, spare: string[]): string[] {
  const bound = firstAidOf(lane);
  if (!bound) return [];
  const limit = `limit rate over ${Math.max(bound.pps, thresholdPps)}/second burst ${bound.burst} packets`;
  const above = bound.above === "drop" ? `counter name ${droppedCounter(lane)} drop` : `goto m_${nameOf(lane)}`;
  return [...spare, `${limit} meta nfproto @${firstAidSet(lane)} ${above}`];
}

const to = (lane: LaneId) => `goto l_${nameOf(lane)}`;

/** Everything that is not for a VPN port, by protocol. Fragments first: a later one has no ports to look at. */
function hostChain(facts: HostFacts): Chain {
  const tcpPorts = facts.ports.filter((port) => port.transport === "tcp");
  const host = (cls: Parameters<typeof hostLane>[0]) => to(hostLane(cls));
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

function hookChains(facts: HostFacts): Chain[] {
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

/** Some comparisons cost less than one look into a map. */
function enterPorts(ports: VpnPort[]): string[] {
  if (ports.length <= COMPARED_PORTS) return ports.map((port) => `udp dport ${port.port} goto ${portChain(port)}`);
  return [`udp dport vmap { ${ports.map((port) => `${port.port} : goto ${portChain(port)}`).join(", ")} }`];
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
  const enter = (guard: string, lane: LaneId) => [
    `${guard} meta nfproto @${armedSet(lane)} goto m_${nameOf(lane)}`,
    `${guard} meta nfproto @${watchedSet(lane)} goto o_${nameOf(lane)}`,
  ];
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
      ...enter("meta l4proto udp", hostLane("udp")),
      "tcp flags & syn == syn accept",
      ...enter("tcp flags & rst == rst", hostLane("rst")),
      ...enter("meta l4proto tcp", hostLane("tcp")),
    ],
  };
}
