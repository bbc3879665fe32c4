import {
  HOST_LANE_CLASSES,
  type HostLaneClass,
  type LaneId,
  type VpnLaneClass,
  type VpnPort,
} from "@flowtriq/protocol/lane";
import { DATA_RULES } from "./data.ts";
import { handshakeRules, PACES, SYN_RULES } from "./handshakes.ts";

/** Chains that a lane's rules jump to by `goto :name`. */
export type Branches = Record<string, string[]>;

/**
 * What stops an attack on one lane, in words and as the rules of the chain that an armed lane enters.
 * `drop` stands for the counting drop (or, in observe mode, the counting accept). Rules see only packets of the lane:
 * known peers, issued indices and answers that we asked for have left before. `tracked`: judged behind connection tracking.
 */
export type LaneMitigation = { words: string; rules: string[]; branches?: Branches; tracked?: true };

/** What the choice of a mitigation depends on. */
export type MitigationContext = { ports: VpnPort[]; conntrack: boolean };

/** Packets a second that a stranger lane lets through while armed: who could not be learned gets a chance, a flood does not. */
export const TRICKLE_PPS = 50;
const trickle = (pps = TRICKLE_PPS) => `limit rate ${pps}/second burst ${pps} packets accept`;

/** A bound above which a lane's packets are dropped, or go through its mitigation, before anybody has judged them. */
export type FirstAid = { pps: number; burst: number; above: "drop" | "mitigate" };

/**
 * First aid: while the agent is alive and may enforce, the kernel itself holds these lanes below a bound, so that the
 * milliseconds until an attack is judged do not fill the VPN server's socket. Of strangers' data and junk, above any rate at
 * which a session that is older than the agent, or a stray scanner, is met. Of the others, above what a server finishes or a host
 * is ever sent unasked: what comes on top goes through the lane's rules, so who tries twice, or is known, passes.
 */
const VPN_FIRST_AID: Partial<Record<VpnLaneClass, FirstAid>> = {
  malformed: { pps: 1_000, burst: 100, above: "drop" },
  unissued: { pps: 2_500, burst: 100, above: "drop" },
  handshake: { pps: 2_500, burst: 100, above: "mitigate" },
  control: { pps: 2_500, burst: 200, above: "mitigate" },
};
const UNASKED: FirstAid = { pps: 2_000, burst: 150, above: "mitigate" };
/** What a host that routes for many may get much of at once has a higher bound, or none. */
const HOST_FIRST_AID: Partial<Record<HostLaneClass, FirstAid>> = {
  reflected: UNASKED,
  fragment: { pps: 10_000, burst: 500, above: "mitigate" },
  icmp: { pps: 5_000, burst: 500, above: "mitigate" },
  syn: { pps: 10_000, burst: 2_000, above: "mitigate" },
  synack: UNASKED,
  gre: UNASKED,
  esp: UNASKED,
  ah: UNASKED,
  protocol: UNASKED,
};

export function firstAidOf(lane: LaneId): FirstAid | undefined {
  const [transport, second, cls] = lane.split(":");
  return transport === "host" ? HOST_FIRST_AID[second as HostLaneClass] : VPN_FIRST_AID[cls as VpnLaneClass];
}

const PROTOCOL_WORDS: Record<VpnPort["protocol"], string> = {
  wireguard: "WireGuard",
  openvpn: "OpenVPN",
  ike: "IKE",
  ipsec_nat_t: "IPsec",
  softether: "SoftEther",
  l2tp: "L2TP",
  sstp: "SSTP",
  other: "VPN",
};

const VPN: Record<VpnLaneClass, (port: VpnPort) => LaneMitigation | undefined> = {
  data: (port) => {
    const found = DATA_RULES[port.protocol];
    return (
      found && {
        words: `Drop data on ${port.port} that comes twice; hold each session to a budget, and who is not where it was to a small one`,
        ...found,
      }
    );
  },
  handshake: (port) => ({
    words: `Handshakes on ${port.port}: known peers first, a stranger's second try passes, its first does not`,
    ...handshakeRules(PACES[port.protocol]),
  }),
  control: (port) => ({
    words: `Drop handshake answers on ${port.port} from senders whose handshake the server has not taken up`,
    rules: [...takenUp(port), trickle(), "drop"],
  }),
  unissued: (port) => ({
    words: `Drop data on ${port.port} that carries no index issued by this server and comes from no peer it has answered`,
    rules: [...(FLOATS[port.protocol] ?? []), trickle(), "drop"],
  }),
  malformed: (port) =>
    port.strictness === "lenient"
      ? {
          words: `Of what is no plain ${PROTOCOL_WORDS[port.protocol]} message on ${port.port}, a stranger's second try passes; known peers pass`,
          ...handshakeRules(PACES.disguised),
        }
      : {
          words: `Drop what is no ${PROTOCOL_WORDS[port.protocol]} message on ${port.port}${port.strictness === "strict" ? "" : ", unless its sender is a known peer"}`,
          rules: ["drop"],
        },
};

/** A client that answers the server's own answer: by the address and port it went to, or by the SPI that the server chose. */
function takenUp({ protocol }: VpnPort): string[] {
  if (protocol === "ike" || protocol === "ipsec_nat_t") {
    const [marker, shift] = protocol === "ike" ? ["", 0] : ["@th,64,32 0 ", 32];
    return [128, 64].map(
      (spi) => `${marker}@th,${spi + shift},64 @ike_spi limit rate 2000/second burst 500 packets accept`,
    );
  }
  return [
    "ip saddr . udp sport @answered4 limit rate 2000/second burst 500 packets accept",
    "ip6 saddr . udp sport @answered6 limit rate 2000/second burst 500 packets accept",
  ];
}

/** A client that has moved is met again by a peer id that the server uses; but ids are small and easily guessed. */
const FLOATS: Partial<Record<VpnPort["protocol"], string[]>> = {
  openvpn: ["@th,64,5 9 @th,72,24 @ovpn_id limit rate 50/second burst 50 packets accept"],
};

/** Segments of connections that the host has; `tcppeer` holds whom it sent some, `tcpopen` whose request it has just answered. */
const OWN_CONNECTIONS = (["tcppeer", "tcpopen"] as const).flatMap((set) => [
  `ip saddr . tcp sport . tcp dport @${set}4 accept`,
  `ip6 saddr . tcp sport . tcp dport @${set}6 accept`,
]);
/** What is not for an address of the host is somebody else's, and no rule of ours can tell whether it was asked for. */
const NOT_OURS = ["meta nfproto ipv4 ip daddr != @local4 accept", "meta nfproto ipv6 ip6 daddr != @local6 accept"];
const STRAY_SEGMENTS = "segments that belong to no connection of this host";

const HOST: Record<HostLaneClass, (context: MitigationContext) => LaneMitigation> = {
  udp: ({ conntrack }) => ({
    words: "Drop UDP that answers nothing and is for no port on which this host listens; limit what is for one",
    rules: [
      ...(conntrack
        ? []
        : [...NOT_OURS, "ip saddr . udp sport @asked4 accept", "ip6 saddr . udp sport @asked6 accept"]),
      "udp dport @listening limit rate 2000/second burst 1000 packets accept",
      trickle(),
      "drop",
    ],
    ...(conntrack ? { tracked: true } : {}),
  }),
  tcp: ({ conntrack }) => segments(conntrack),
  rst: ({ conntrack }) => segments(conntrack),
  reflected: () => ({
    words: "Drop answers of public services that nobody here asked for",
    // What is sent to a group (mDNS, SSDP) was asked for by nobody and is no attack on us.
    rules: ["ip daddr 224.0.0.0/4 accept", "ip6 daddr ff00::/8 accept", "drop"],
  }),
  fragment: () => ({
    words: "Drop IP fragments but for those of VPN peers, and of clients whose handshake was just taken up",
    rules: [
      ...["met", "ipsec", "answered_ike"].flatMap((set) => [
        `ip saddr @${set}4 limit rate 5000/second burst 1000 packets accept`,
        `ip6 saddr @${set}6 limit rate 5000/second burst 1000 packets accept`,
      ]),
      trickle(100),
      "drop",
    ],
  }),
  syn: () => ({
    words:
      "Drop connection requests without TCP options; a stranger's other requests pass at their repeat, a second later",
    rules: SYN_RULES,
  }),
  synack: () => ({ words: "Drop connection answers that nobody here asked for", rules: [trickle(), "drop"] }),
  icmp: () => ({
    words: "Limit ICMP; path MTU discovery and neighbour discovery pass",
    rules: [
      "icmp type destination-unreachable icmp code frag-needed accept",
      "icmpv6 type packet-too-big accept",
      // From the own link alone (RFC 4861 7.1.1).
      "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 accept",
      "icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } ip6 saddr fe80::/10 accept",
      ...[
        "icmp type { destination-unreachable, time-exceeded, parameter-problem }",
        "icmpv6 type { destination-unreachable, time-exceeded, parameter-problem }",
      ].map((errors) => `${errors} limit rate 100/second burst 100 packets accept`),
      "limit rate 100/second burst 50 packets accept",
      "drop",
    ],
  }),
  gre: () => ({ words: "Drop GRE from senders this host has sent none to", rules: [trickle(), "drop"] }),
  esp: () => ({
    words: "Drop ESP from senders this host has no security association with",
    rules: [trickle(), "drop"],
  }),
  ah: () => ({ words: "Drop AH from senders this host has sent none to", rules: [trickle(), "drop"] }),
  protocol: () => ({
    words: "Drop other IP protocols from senders this host has sent none to",
    rules: [trickle(), "drop"],
  }),
};

const segments = (conntrack: boolean): LaneMitigation =>
  conntrack
    ? // Tracking may have begun after a connection did, or have been flushed; the host's own list has it still.
      { words: `Drop ${STRAY_SEGMENTS}`, rules: [...OWN_CONNECTIONS, trickle(), "drop"], tracked: true }
    : { words: `Drop ${STRAY_SEGMENTS}`, rules: [...NOT_OURS, ...OWN_CONNECTIONS, trickle(), "drop"] };

/** Lanes whose rules know the innocent by the connections that the host has. */
export const dependsOnConnections = (lane: LaneId): boolean =>
  lane.startsWith("tcp:") || lane === "host:tcp" || lane === "host:rst";

/** The mitigation of a lane, or undefined where dropping would hurt the innocent. */
export function mitigationOf(lane: LaneId, context: MitigationContext): LaneMitigation | undefined {
  const [transport, second, cls] = lane.split(":");
  if (transport === "host") return HOST[HOST_LANE_CLASSES.find((known) => known === second)!](context);
  const port = context.ports.find(
    (candidate) => candidate.transport === transport && String(candidate.port) === second,
  );
  if (!port) return undefined;
  if (port.transport === "udp") return VPN[cls as VpnLaneClass](port);
  return cls === "unissued"
    ? { words: `Drop segments on ${port.port} that belong to no connection of this host`, rules: [trickle(), "drop"] }
    : undefined;
}

/** A rule with its verdict spelled out: a named counter, then the drop, or the pass of observe mode. */
export const withVerdict = (rule: string, counter: string, verdict: "drop" | "accept"): string =>
  rule.endsWith("drop") ? `${rule.slice(0, -4)}counter name ${counter} ${verdict}` : rule;
