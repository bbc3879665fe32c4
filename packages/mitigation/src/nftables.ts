import { hostLane, type LaneId, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import { REFLECTOR_PORTS } from "@flowtriq/protocol/reflector";
import type { HostFacts } from "./facts.ts";
import { lanesOf } from "./lanes.ts";
import { firstAidOf, mitigationOf, withVerdict } from "./mitigations.ts";
import {
  armedSet,
  arrivedCounter,
  cookieCounter,
  droppedCounter,
  finishedCounter,
  firstAidSet,
  learnChain,
  nameOf,
  observedCounter,
  portChain,
  sentCounter,
  watchedSet,
} from "./names.ts";
import { portRules } from "./ports.ts";

/** Hook priority at ingress: before every usual chain, so that a drop costs no connection tracking. */
const INGRESS_PRIORITY = -500;
/** Without an ingress hook: before connection tracking (-200) and defragmentation (-400). */
const PREROUTING_PRIORITY = -450;
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

const timed = (type: string, size: number, timeout: string) =>
  `{ typeof ${type}; size ${size}; flags dynamic,timeout; timeout ${timeout}; }`;
const keyed = (type: string, size: number, timeout: string) =>
  `{ type ${type}; size ${size}; flags dynamic,timeout; timeout ${timeout}; }`;

/**
 * Sets that packets feed. They outlive a reload: live tunnels depend on what they hold. WireGuard rejects a session after
 * 180 s (whitepaper 6.1), so an index issued 240 s ago is dead.
 */
const LEARNED_SETS = [
  `set wg_index ${timed("@th,96,32", 65536, "4m")}`,
  // Indices that known peers used before the agent saw them issued; apart, so that they cannot crowd out the issued ones.
  `set wg_seen ${timed("@th,96,32", 65536, "4m")}`,
  `set peer4 ${timed("ip saddr . udp sport", 65536, "5m")}`,
  `set peer6 ${timed("ip6 saddr . udp sport", 65536, "5m")}`,
  `set ipsec4 ${keyed("ipv4_addr", 65536, "5m")}`,
  `set ipsec6 ${keyed("ipv6_addr", 65536, "5m")}`,
  `set asked4 ${timed("ip saddr . udp sport", 65536, "1m")}`,
  `set asked6 ${timed("ip6 saddr . udp sport", 65536, "1m")}`,
  `set askedtcp4 ${timed("ip saddr . tcp sport", 65536, "2m")}`,
  `set askedtcp6 ${timed("ip6 saddr . tcp sport", 65536, "2m")}`,
  `set proto4 ${timed("ip saddr . meta l4proto", 4096, "5m")}`,
  `set proto6 ${timed("ip6 saddr . meta l4proto", 4096, "5m")}`,
  `set retry4 ${timed("ip saddr . udp sport", 262144, "8s")}`,
  `set retry6 ${timed("ip6 saddr . udp sport", 262144, "8s")}`,
  `set synretry4 ${timed("ip saddr . tcp sport", 262144, "8s")}`,
  `set synretry6 ${timed("ip6 saddr . tcp sport", 262144, "8s")}`,
  `set synrate4 ${keyed("ipv4_addr", 65536, "10s")}`,
  `set synrate6 ${keyed("ipv6_addr", 65536, "10s")}`,
];

/**
 * The whole table, as one transaction for `nft -f`: learned sets, counters and leases of a table that stands already live
 * on, its chains are emptied and written anew. Known peers are seeded in the same transaction, so nobody who is connected
 * notices.
 */
export function toNftables(facts: HostFacts): string {
  const lanes = lanesOf(facts.ports);
  const chains = [
    ...laneChains(lanes, facts),
    ...facts.ports.map((port) => portChainText(port)),
    hostChain(facts),
    ...hookChains(facts),
  ];
  const table = `inet ${facts.table}`;
  return [
    `table ${table} {`,
    ...LEARNED_SETS.map(indent),
    indent(`limit sampler { rate ${facts.samplesPerSecond}/second burst ${TOTAL_BURST} packets; }`),
    ...lanes.flatMap((lane) => laneObjects(lane, facts.ports)).map(indent),
    ...facts.ports
      .filter(isUdp)
      .flatMap((port) =>
        [finishedCounter, sentCounter, cookieCounter].map((named) => indent(`counter ${named(port)} { }`)),
      ),
    ...NEVER_SETS.map(indent),
    ...chains.map(({ name, hook }) => indent(`chain ${name} { ${hook ?? ""} }`)),
    "}",
    ...chains.map(({ name }) => `flush chain ${table} ${name}`),
    `table ${table} {`,
    ...chains.flatMap(({ name, rules }) => [`chain ${name} {`, ...rules.map(indent), "}"].map(indent)),
    "}",
    ...neverElements(facts),
    ...seedElements(facts),
    "",
  ].join("\n");
}

/** Removes everything of ours. */
export const toRemoval = (table: string): string => `delete table inet ${table}\n`;

const isUdp = (port: VpnPort) => port.transport === "udp";

type Chain = { name: string; hook?: string; rules: string[] };
const indent = (line: string) => `  ${line}`;

function laneObjects(lane: LaneId, ports: VpnPort[]): string[] {
  const objects = [`counter ${arrivedCounter(lane)} { }`];
  if (!mitigationOf(lane, ports)) return objects;
  return [
    ...objects,
    `counter ${droppedCounter(lane)} { }`,
    `counter ${observedCounter(lane)} { }`,
    // The dead-man switch: an element is the lease of one address family; when it runs out the lane is open again.
    `set ${armedSet(lane)} { type nf_proto; flags timeout; }`,
    `set ${watchedSet(lane)} { type nf_proto; flags timeout; }`,
    ...(firstAidOf(lane) ? [`set ${firstAidSet(lane)} { type nf_proto; flags timeout; }`] : []),
  ];
}

/** Counts a lane, wakes the agent when its rate trips, and enters the mitigation while the lane is armed. */
function laneChains(lanes: LaneId[], facts: HostFacts): Chain[] {
  const spare = sparing(facts.neverBlock);
  return lanes.flatMap((lane) => {
    const name = nameOf(lane);
    const { pps, burst } = facts.trips(lane);
    const sample = (share: number, sampleBurst: number) =>
      `limit rate ${Math.max(1, Math.floor(facts.samplesPerSecond * share))}/second burst ${sampleBurst} packets ` +
      `limit name "sampler" log prefix "${lane}" group ${facts.nflogGroup} snaplen ${SAMPLE_BYTES} queue-threshold 1`;
    const count = `counter name ${arrivedCounter(lane)}`;
    const trip = `limit rate over ${pps}/second burst ${burst} packets ${sample(SHARE.judged, LANE_BURST)}`;
    const mitigation = mitigationOf(lane, facts.ports);
    if (!mitigation) return [{ name: `l_${name}`, rules: [count, trip, "accept"] }];
    const body = (counter: string, verdict: "drop" | "accept") => [
      sample(SHARE.mitigated, MITIGATED_BURST),
      ...spare,
      ...mitigation.rules.map((rule) => withVerdict(rule, counter, verdict)),
    ];
    return [
      { name: `m_${name}`, rules: body(droppedCounter(lane), "drop") },
      { name: `o_${name}`, rules: body(observedCounter(lane), "accept") },
      {
        name: `l_${name}`,
        rules: [
          count,
          `meta nfproto @${armedSet(lane)} goto m_${name}`,
          `meta nfproto @${watchedSet(lane)} goto o_${name}`,
          trip,
          ...firstAidRules(lane, pps, spare),
        ],
      },
    ];
  });
}

/** Never below the lane's own threshold, so that what is normal here is not cut. */
function firstAidRules(lane: LaneId, thresholdPps: number, spare: string[]): string[] {
  const bound = firstAidOf(lane);
  if (!bound) return [];
  const limit = `limit rate over ${Math.max(bound.pps, thresholdPps)}/second burst ${bound.burst} packets`;
  const above = bound.above === "drop" ? `counter name ${droppedCounter(lane)} drop` : `goto m_${nameOf(lane)}`;
  return [...spare, `${limit} meta nfproto @${firstAidSet(lane)} ${above}`];
}

const portChainText = (port: VpnPort): Chain => ({ name: portChain(port), rules: portRules(port) });

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
      `tcp flags & (fin|syn|rst|ack) == syn ${host("syn")}`,
      `tcp flags & (syn|ack) == (syn|ack) ip saddr . tcp sport @askedtcp4 ${host("tcp")}`,
      `tcp flags & (syn|ack) == (syn|ack) ip6 saddr . tcp sport @askedtcp6 ${host("tcp")}`,
      `tcp flags & (syn|ack) == (syn|ack) ${host("synack")}`,
      ...tcpPorts.map((port) => `tcp dport ${port.port} ${to(vpnLane(port, "data"))}`),
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
const REFLECTOR_SET = `{ ${REFLECTOR_PORTS.join(", ")} }`;

function hookChains(facts: HostFacts): Chain[] {
  const udpPorts = facts.ports.filter(isUdp);
  const vmap = udpPorts.map((port) => `${port.port} : goto ${portChain(port)}`).join(", ");
  const learnMap = udpPorts.map((port) => `${port.port} : goto ${learnChain(port)}`).join(", ");
  const names = facts.interfaces.map((name) => `"${name}"`).join(", ");
  const enter = [...(vmap ? [`udp dport vmap { ${vmap} }`] : []), "goto host"];
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
    ...udpPorts.map((port) => ({
      name: learnChain(port),
      rules: [`counter name ${sentCounter(port)}`, ...learnRules(port)],
    })),
    {
      name: "learn",
      hook: `type filter hook output priority ${LEARN_PRIORITY}; policy accept;`,
      rules: learnMap ? [`udp sport vmap { ${learnMap} }`] : [],
    },
    {
      name: "asked",
      hook: `type filter hook postrouting priority ${ASKED_PRIORITY}; policy accept;`,
      rules: ASKED_RULES,
    },
  ];
}

/**
 * What the server itself sends proves who is real: see docs/agent.md. The counter takes what only a finished handshake gets:
 * WireGuard's response, OpenVPN's control packets, the answer to IKE_AUTH or quick mode.
 */
function learnRules(port: VpnPort): string[] {
  const peers = (guard: string) => [
    `${guard}update @peer4 { ip daddr . udp dport }`,
    `${guard}update @peer6 { ip6 daddr . udp dport }`,
  ];
  const ipsec = (guard: string) => [`${guard}update @ipsec4 { ip daddr }`, `${guard}update @ipsec6 { ip6 daddr }`];
  const finished = (shape: string) => `${shape} counter name ${finishedCounter(port)}`;
  switch (port.protocol) {
    case "wireguard":
      return [
        "@th,64,32 { 0x01000000, 0x02000000 } update @wg_index { @th,96,32 }",
        finished("@th,64,32 0x02000000"),
        `@th,64,32 0x03000000 counter name ${cookieCounter(port)}`,
        // A cookie reply goes to anyone, a response and data only to an authenticated peer.
        ...peers("udp length >= 40 @th,64,32 != 0x03000000 "),
      ];
    case "openvpn":
      // Opcodes 4, 6 and 9 (control, data) go only to a peer that answered the server's reset.
      return [finished("@th,64,5 4"), ...peers("@th,64,5 { 4, 6, 9 } ")];
    case "ike":
      return [
        finished("@th,208,8 { 35, 32 }"),
        ...ipsec("@th,208,8 { 35, 36, 37, 5, 6, 32 } "),
        ...peers("@th,208,8 { 35, 36, 37, 5, 6, 32 } "),
      ];
    case "ipsec_nat_t":
      // The client speaks first after IKE_AUTH, so the answer to that proves it, and so does ESP that we send.
      return [
        finished("@th,64,32 0 @th,240,8 { 35, 32 }"),
        ...["@th,64,32 0 @th,240,8 { 35, 36, 37, 5, 6, 32 } ", "@th,64,32 > 255 "].flatMap((shape) => [
          ...ipsec(shape),
          ...peers(shape),
        ]),
      ];
    default:
      return peers("");
  }
}

const ASKED_RULES = [
  `udp dport ${REFLECTOR_SET} update @asked4 { ip daddr . udp dport }`,
  `udp dport ${REFLECTOR_SET} update @asked6 { ip6 daddr . udp dport }`,
  "tcp flags & (fin|syn|rst|ack) == syn update @askedtcp4 { ip daddr . tcp dport }",
  "tcp flags & (fin|syn|rst|ack) == syn update @askedtcp6 { ip6 daddr . tcp dport }",
  "meta l4proto { gre, esp, ah } update @proto4 { ip daddr . meta l4proto }",
  "meta l4proto { gre, esp, ah } update @proto6 { ip6 daddr . meta l4proto }",
];

const isV6 = (address: string) => address.includes(":");

const NEVER_SETS = [4, 6].map((family) => `set never${family} { type ipv${family}_addr; flags interval; auto-merge; }`);

/** The list as it is now: what an earlier policy spared is spared no longer. */
function neverElements({ table, neverBlock }: HostFacts): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const set = `inet ${table} never${family}`;
    const mine = neverBlock.filter((prefix) => isV6(prefix) === (family === 6));
    return [`flush set ${set}`, ...(mine.length > 0 ? [`add element ${set} { ${mine.join(", ")} }`] : [])];
  });
}

/** Whoever may never be blocked passes every mitigation; no rule at all when the list is empty, because junk pays for it. */
function sparing(prefixes: string[]): string[] {
  return [
    ...(prefixes.some((prefix) => !isV6(prefix)) ? ["ip saddr @never4 accept"] : []),
    ...(prefixes.some(isV6) ? ["ip6 saddr @never6 accept"] : []),
  ];
}

function seedElements(facts: HostFacts): string[] {
  const table = `inet ${facts.table}`;
  const add = (set: string, peers: HostFacts["seeds"]) =>
    peers.length > 0
      ? [`add element ${table} ${set} { ${peers.map((peer) => `${peer.address} . ${peer.port}`).join(", ")} }`]
      : [];
  return [
    ...add(
      "peer4",
      facts.seeds.filter((peer) => !isV6(peer.address)),
    ),
    ...add(
      "peer6",
      facts.seeds.filter((peer) => isV6(peer.address)),
    ),
  ];
}
