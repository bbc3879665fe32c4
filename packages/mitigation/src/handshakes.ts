import type { VpnProtocol } from "@flowtriq/protocol/lane";
import type { Branches } from "./mitigations.ts";

/**
 * How often an honest client may try: WireGuard every 5 s (whitepaper 6.1), OpenVPN after 2, 4, 8 s, IKE after 0.5 to 4 s
 * and then ever more slowly (RFC 7296 2.1 leaves it open). `addressPps` bounds the second tries of one address, of which a
 * carrier's NAT may hide hundreds of clients; OpenVPN itself answers but ten a second.
 */
export type Pace = {
  perMinute: number;
  burst: number;
  addressPps: number;
  addressBurst: number;
  /** First tries that pass by chance while the list of strangers is full. */
  admittedPps: number;
  ephemeralOnce?: true;
  ipsecPeers?: true;
  answeredPeers?: true;
};
const USUAL: Pace = { perMinute: 60, burst: 5, addressPps: 100, addressBurst: 1_000, admittedPps: 20 };
export const PACES: Record<VpnProtocol | "disguised", Pace> = {
  wireguard: { ...USUAL, perMinute: 15, burst: 2, ephemeralOnce: true },
  // Ten unanswered strangers a second are all that OpenVPN 2.6 can bear, so none comes by chance.
  openvpn: { perMinute: 30, burst: 3, addressPps: 5, addressBurst: 50, admittedPps: 1, answeredPeers: true },
  ike: { ...USUAL, ipsecPeers: true },
  ipsec_nat_t: { ...USUAL, ipsecPeers: true },
  softether: USUAL,
  l2tp: USUAL,
  sstp: USUAL,
  other: USUAL,
  // AmneziaWG sends up to a dozen packets of junk ahead of each try.
  disguised: { ...USUAL, perMinute: 240, burst: 20 },
};

/** A peer that the server has met may have its reasons to begin anew many times. */
const PEER_TRIES_PER_MINUTE = 60;
/** Second tries that pass in all, whatever the attacker's list of addresses. */
const SECOND_TRIES_PPS = 500;
/**
 * Tries of one address: few, unless a peer behind it has finished a handshake in the last hours, as hundreds may have behind a
 * carrier's NAT, who all come back at once.
 */
const budgetOf = (pps: number, burst: number) => `limit rate over ${pps}/second burst ${burst} packets`;
const STRANGE_ADDRESS = budgetOf(2, 20);

const FAMILIES = [
  { nfproto: "ipv4", saddr: "ip saddr", network: "ip saddr", n: 4 },
  // Of IPv6, where an attacker owns whole prefixes, the /64 counts as one address.
  { nfproto: "ipv6", saddr: "ip6 saddr", network: "ip6 saddr & ffff:ffff:ffff:ffff::", n: 6 },
] as const;

/**
 * Rules of an armed handshake lane. Peers that the server has met go first, each at the pace of an honest client; a stranger
 * must try twice, as real clients do and random spoofed sources never, and then at that pace and within its address's
 * and its network's budget. Who tries faster than any client is out until it has been silent for a minute. What is admitted
 * must be new: an honest WireGuard client never repeats an ephemeral key.
 */
export function handshakeRules(pace: Pace): { rules: string[]; branches: Branches } {
  const branches: Branches = {};
  const rules: string[] = [];
  const remember: string[] = [];
  const admit = pace.ephemeralOnce ? "goto :fresh" : "accept";
  for (const { nfproto, saddr, network, n } of FAMILIES) {
    const key = `${saddr} . udp sport . udp dport`;
    const paced = [
      `${key} @rude${n} update @rude${n} { ${key} } drop`,
      `update @paced${n} { ${key} limit rate over ${pace.perMinute}/minute burst ${pace.burst} packets } add @rude${n} { ${key} } drop`,
    ];
    const crowd = budgetOf(pace.addressPps, pace.addressBurst);
    const budgets = (strangers: string, met: string) => [
      `${saddr} != @met${n} update @${strangers}${n} { ${network} ${STRANGE_ADDRESS} } drop`,
      `${saddr} @met${n} update @${met}${n} { ${network} ${crowd} } drop`,
    ];
    branches[`peer${n}`] = [
      `update @peer_paced${n} { ${key} limit rate over ${PEER_TRIES_PER_MINUTE}/minute burst ${PEER_TRIES_PER_MINUTE / 3} packets } drop`,
      admit,
    ];
    branches[`second${n}`] = [
      ...paced,
      // A try that fails for want of a budget, or is answered by a cookie, must not have been in vain.
      `update @retry${n} { ${saddr} . udp sport }`,
      ...budgets("source", "crowd"),
      ...(n === 6
        ? [
            `update @network6 { ip6 saddr & ffff:ffff:ffff:: limit rate over ${pace.addressPps * 4}/second burst ${pace.addressBurst * 4} packets } drop`,
          ]
        : []),
      `limit rate ${SECOND_TRIES_PPS}/second burst ${SECOND_TRIES_PPS} packets ${admit}`,
      "drop",
    ];
    remember.push(
      ...budgets("tries", "crowd_tries"),
      `meta nfproto ${nfproto} add @retry${n} { ${saddr} . udp sport } drop`,
    );
    rules.push(`${saddr} . udp sport @peer${n} goto :peer${n}`, `${saddr} . udp sport @retry${n} goto :second${n}`);
    // Whose try the server has taken up, and who says it again because the answer was lost.
    if (pace.answeredPeers) rules.push(`${saddr} . udp sport @answered${n} goto :peer${n}`);
    if (pace.ipsecPeers) rules.push(`${saddr} @ipsec${n} goto :peer${n}`);
  }
  rules.push(
    ...remember,
    // The list is full: nobody new is remembered.
    `limit rate ${pace.admittedPps}/second burst ${pace.admittedPps} packets ${admit}`,
    "drop",
  );
  // p8-23, half of the ephemeral key: enough to know it again.
  if (pace.ephemeralOnce) {
    branches.fresh = ["@th,128,128 @ephemeral drop", "add @ephemeral { @th,128,128 } accept", "accept"];
  }
  return { rules, branches };
}

/** Rules for an armed lane of connection requests: a stranger's second one passes, a second after its first (RFC 6298 2.1). */
export const SYN_RULES = [
  "tcp doff 5 drop",
  "meta nfproto ipv4 update @synrate4 { ip saddr limit rate over 20/second burst 40 packets } drop",
  "meta nfproto ipv6 update @synrate6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 20/second burst 40 packets } drop",
  "ip saddr . tcp sport @synretry4 limit rate 1000/second burst 200 packets accept",
  "ip6 saddr . tcp sport @synretry6 limit rate 1000/second burst 200 packets accept",
  "limit rate 100/second burst 100 packets accept",
  "meta nfproto ipv4 add @synretry4 { ip saddr . tcp sport } drop",
  "meta nfproto ipv6 add @synretry6 { ip6 saddr . tcp sport } drop",
  "drop",
];
