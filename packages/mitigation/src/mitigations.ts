import {
  HOST_LANE_CLASSES,
  type HostLaneClass,
  type LaneId,
  type VpnLaneClass,
  type VpnPort,
} from "@flowtriq/protocol/lane";

/**
 * What stops an attack on one lane, in words and as the rules of the chain that an armed lane enters.
 * `drop` stands for the counting drop (or, in observe mode, the counting accept). Rules see only packets of the lane:
 * known peers, issued indices and answers that we asked for have left before.
 */
export type LaneMitigation = { words: string; rules: string[] };

/** Packets a second that a stranger lane lets through while armed: who could not be learned gets a chance, a flood does not. */
export const TRICKLE_PPS = 50;
const trickle = (pps = TRICKLE_PPS) => `limit rate ${pps}/second burst ${pps} packets accept`;

/** Whoever the server has answered reconnects at once; bounded, because a known address can be forged too. */
const KNOWN_PEERS_FIRST = [
  "ip saddr . udp sport @peer4 limit rate 2000/second burst 500 packets accept",
  "ip6 saddr . udp sport @peer6 limit rate 2000/second burst 500 packets accept",
  "ip saddr @ipsec4 limit rate 500/second burst 100 packets accept",
  "ip6 saddr @ipsec6 limit rate 500/second burst 100 packets accept",
];

/**
 * A source must try twice: real clients repeat after 1 s (TCP) to 5 s (WireGuard), random spoofed sources never do. The set is bounded; when
 * it is full nobody new is remembered and the limit before it still admits a few.
 */
const retryOnly = (transport: "udp" | "tcp", set: string, admittedPps: number): string[] => [
  `ip saddr . ${transport} sport @${set}4 limit rate 2000/second burst 200 packets accept`,
  `ip6 saddr . ${transport} sport @${set}6 limit rate 2000/second burst 200 packets accept`,
  trickle(admittedPps),
  `meta nfproto ipv4 add @${set}4 { ip saddr . ${transport} sport }`,
  `meta nfproto ipv6 add @${set}6 { ip6 saddr . ${transport} sport }`,
  "drop",
];

/** A bound above which a lane's packets are dropped, or go through its mitigation, before anybody has judged them. */
export type FirstAid = { pps: number; burst: number; above: "drop" | "mitigate" };

/**
 * First aid: while the agent is alive and may enforce, the kernel itself holds these lanes below a bound, so that the
 * milliseconds until an attack is judged do not fill the VPN server's socket. Of strangers' data and junk, above any rate at
 * which a session that is older than the agent, or a stray scanner, is met. Of handshakes, above what a server finishes: who
 * comes on top is not dropped for good but has to try twice, known peers excepted.
 */
const FIRST_AID: Partial<Record<VpnLaneClass, FirstAid>> = {
  malformed: { pps: 1_000, burst: 100, above: "drop" },
  unissued: { pps: 10_000, burst: 300, above: "drop" },
  handshake: { pps: 5_000, burst: 500, above: "mitigate" },
};

export function firstAidOf(lane: LaneId): FirstAid | undefined {
  const [transport, , cls] = lane.split(":");
  return transport === "udp" ? FIRST_AID[cls as VpnLaneClass] : undefined;
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
  data: () => undefined,
  handshake: (port) => ({
    words: `Handshakes on ${port.port}: known peers first, a stranger's second try passes, its first does not`,
    rules: [...KNOWN_PEERS_FIRST, ...retryOnly("udp", "retry", 100)],
  }),
  control: (port) => ({
    words: `Limit handshake answers on ${port.port} from senders that the server has not met`,
    rules: [trickle(200), "drop"],
  }),
  unissued: (port) => ({
    words: `Drop data on ${port.port} that carries no index issued by this server and comes from no peer it has answered`,
    rules: [trickle(), "drop"],
  }),
  malformed: (port) => ({
    words: `Drop what is no ${PROTOCOL_WORDS[port.protocol]} message on ${port.port}, unless its sender is a known peer`,
    rules: ["drop"],
  }),
};

const HOST: Record<HostLaneClass, LaneMitigation | undefined> = {
  // Without knowing whom the host's own sessions talk to, no rule for these spares the innocent: they are reported, not dropped.
  udp: undefined,
  tcp: undefined,
  rst: undefined,
  reflected: { words: "Drop answers of public services that nobody here asked for", rules: ["drop"] },
  fragment: {
    words: "Limit IP fragments, IPsec peers excepted",
    rules: ["ip saddr @ipsec4 accept", "ip6 saddr @ipsec6 accept", trickle(200), "drop"],
  },
  syn: {
    words:
      "Drop connection requests without TCP options; a stranger's other requests pass at their repeat, a second later",
    rules: [
      "tcp doff 5 drop",
      "meta nfproto ipv4 update @synrate4 { ip saddr limit rate over 20/second burst 40 packets } drop",
      "meta nfproto ipv6 update @synrate6 { ip6 saddr limit rate over 20/second burst 40 packets } drop",
      ...retryOnly("tcp", "synretry", 200),
    ],
  },
  synack: { words: "Drop connection answers that nobody here asked for", rules: [trickle(), "drop"] },
  icmp: {
    // Path MTU discovery, errors and IPv6 neighbour discovery stay untouched.
    words: "Limit echo requests and replies to 100 a second; errors and neighbour discovery pass",
    rules: [
      "icmp type { echo-request, echo-reply } limit rate over 100/second burst 50 packets drop",
      "icmpv6 type { echo-request, echo-reply } limit rate over 100/second burst 50 packets drop",
    ],
  },
  gre: { words: "Drop GRE from senders this host has sent none to", rules: [trickle(), "drop"] },
  esp: { words: "Drop ESP from senders this host has no security association with", rules: [trickle(), "drop"] },
  ah: { words: "Drop AH from senders this host has sent none to", rules: [trickle(), "drop"] },
  protocol: { words: "Drop other IP protocols from senders this host has sent none to", rules: [trickle(), "drop"] },
};

/** The mitigation of a lane, or undefined where dropping would hurt the innocent. */
export function mitigationOf(lane: LaneId, ports: VpnPort[]): LaneMitigation | undefined {
  const [transport, second, cls] = lane.split(":");
  if (transport === "host") return HOST[HOST_LANE_CLASSES.find((known) => known === second)!];
  const port = ports.find((candidate) => candidate.transport === transport && String(candidate.port) === second);
  return port && port.transport === "udp" ? VPN[cls as VpnLaneClass](port) : undefined;
}

/** A rule with its verdict spelled out: a named counter, then the drop, or the pass of observe mode. */
export const withVerdict = (rule: string, counter: string, verdict: "drop" | "accept"): string =>
  rule.endsWith("drop") ? `${rule.slice(0, -4)}counter name ${counter} ${verdict}` : rule;
