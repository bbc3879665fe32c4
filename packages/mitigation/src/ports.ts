import { type VpnPort, type VpnProtocol, vpnLane } from "@flowtriq/protocol/lane";
import type { HostFacts } from "./facts.ts";
import { type Chain, droppedAtOnce, leasedData, toLane } from "./lane-chains.ts";
import { hasSiege } from "./leases.ts";
import { mitigationOf } from "./mitigations.ts";
import { budgetChain, oddChain, portChain, siegeChain, variantCounter } from "./names.ts";

/** Octets that no message of the protocol begins with, its types being one to four, or its opcodes three to eleven. */
const ODD: Partial<Record<VpnProtocol, string>> = {
  wireguard: "@th,64,32 & 0xf8ffffff != 0",
  openvpn: "@th,64,8 != 0x18-0x5f",
};

/**
 * The chains that sort one port's packets into its lanes: one for peace, one while strangers are dropped, in which junk goes first, and
 * one while sessions have budgets. What a chain spares its packets is paid by nobody else; which one holds, `PORT_MAP` says.
 */
export function portChains(port: VpnPort, facts: HostFacts): Chain[] {
  const data = vpnLane(port, "data");
  const malformed = vpnLane(port, "malformed");
  const peace: Chain = { name: portChain(port), rules: portRules(port, toLane(data)) };
  if (port.transport === "tcp") return [peace];
  const leased = leasedData(data, facts);
  const budgets = mitigationOf(data, facts) ? [{ name: budgetChain(port), rules: portRules(port, leased) }] : [];
  const odd = ODD[port.protocol];
  if (!odd || !hasSiege(port)) return [peace, ...budgets];
  const variants = knownPeer(`counter name ${variantCounter(port)} ${leased}`);
  const judged: Chain = { name: oddChain(port), rules: [...variants, toLane(malformed)] };
  const sorted = (to: string, rules = [`${odd} goto ${judged.name}`]) => portRules(port, to, rules);
  const junk = [
    // A port whose peers have all spoken plainly need not look whether one of them sent this.
    ...(port.strictness === "strict" ? [] : variants.map((rule) => `${odd} ${rule}`)),
    ...droppedAtOnce(malformed, odd, facts),
  ];
  return [
    judged,
    { ...peace, rules: sorted(toLane(data)) },
    ...budgets.map(({ name }) => ({ name, rules: sorted(leased) })),
    { name: siegeChain(port), rules: sorted(leased, junk) },
  ];
}

/**
 * Sorts the packets of one VPN port into its lanes, common case first. `odd`: what happens to what is no message at all. `@th,64+8n` is
 * byte n of the UDP payload; `udp length` is payload + 8. Sources: WireGuard whitepaper 5.4; OpenVPN wire protocol; RFC 7296 3.1;
 * RFC 3948 2.
 */
function portRules(port: VpnPort, data: string, odd: string[] = []): string[] {
  const lane = (cls: Parameters<typeof vpnLane>[1]) => toLane(vpnLane(port, cls));
  if (port.transport === "tcp") {
    const connections = ["tcppeer", "tcpopen"].flatMap((set) => [
      `ip saddr . tcp sport . tcp dport @${set}4 ${data}`,
      `ip6 saddr . tcp sport . tcp dport @${set}6 ${data}`,
    ]);
    return [...connections, lane("unissued")];
  }
  return SHAPES[port.protocol]({
    data,
    handshake: lane("handshake"),
    control: lane("control"),
    unissued: lane("unissued"),
    malformed: lane("malformed"),
    odd,
    lenient: port.strictness === "lenient",
  });
}

type Lanes = Record<"data" | "handshake" | "control" | "unissued" | "malformed", string> & {
  odd: string[];
  lenient: boolean;
};

/**
 * UDP lengths of a hard reset: 14 octets, and the digest, packet id and time of tls-auth with any hash from MD5 to SHA-512, or of
 * tls-crypt. One with a wrapped key (tls-crypt-v2) has the first packet id of its range: p10-11 say so.
 */
const RESET_LENGTHS = "{ 22, 46, 50, 58, 62, 78, 94 }";

/** Whom the server has answered: genuine whatever the packet looks like, so that no variant of a protocol is cut off. */
const knownPeer = (to: string) => [`ip saddr . udp sport @peer4 ${to}`, `ip6 saddr . udp sport @peer6 ${to}`];

const SHAPES: Record<VpnProtocol, (to: Lanes) => string[]> = {
  wireguard: (to) => {
    // Some networks fill the three reserved bytes; a lenient port looks at the type alone.
    const type = (n: number) => (to.lenient ? `@th,64,8 ${n}` : `@th,64,32 0x0${n}000000`);
    return [
      `${type(4)} @th,96,32 @wg_index ${to.data}`,
      `${type(1)} udp length 156 ${to.handshake}`,
      ...to.odd,
      // A session older than the agent: its peer is known from the daemon, its index only from its own packets.
      `${type(4)} ip saddr . udp sport @peer4 update @wg_seen { @th,96,32 } ${to.data}`,
      `${type(4)} ip6 saddr . udp sport @peer6 update @wg_seen { @th,96,32 } ${to.data}`,
      ...knownPeer(to.data),
      `${type(4)} udp length >= 40 @th,96,32 @wg_seen ${to.data}`,
      `${type(4)} udp length >= 40 ${to.unissued}`,
      `${type(2)} udp length 100 @th,128,32 @wg_index ${to.control}`,
      `${type(3)} udp length 72 @th,96,32 @wg_index ${to.control}`,
      to.malformed,
    ];
  },
  openvpn: (to) => [
    ...to.odd,
    // 7 and 10 with key id 0 open a session; the session id is never zero.
    ...(to.lenient
      ? [`@th,64,8 { 0x38, 0x50 } udp length >= 22 @th,72,64 != 0 ${to.handshake}`]
      : [
          `@th,64,8 0x38 udp length ${RESET_LENGTHS} @th,72,64 != 0 ${to.handshake}`,
          `@th,64,8 0x50 udp length >= 128 @th,144,16 { 0x0000, 0x0100 } @th,72,64 != 0 ${to.handshake}`,
        ]),
    ...knownPeer(to.data),
    `@th,64,8 { 0x20, 0x28, 0x58 } udp length >= 22 ${to.control}`,
    `@th,64,5 { 3, 6, 9 } udp length >= 22 ${to.unissued}`,
    to.malformed,
  ],
  ike: (to) => [
    ...ikeHandshake(0, to),
    `ip saddr @ipsec4 ${to.data}`,
    `ip6 saddr @ipsec6 ${to.data}`,
    ...knownPeer(to.data),
    ...ikeControl(0, to),
    to.malformed,
  ],
  ipsec_nat_t: (to) => [
    `@th,64,32 > 255 ip saddr . udp sport @peer4 ${to.data}`,
    `@th,64,32 > 255 ip6 saddr . udp sport @peer6 ${to.data}`,
    // The non-ESP marker: IKE follows, four bytes later (RFC 3948 2.2).
    ...ikeHandshake(32, to).map((rule) => `@th,64,32 0 ${rule}`),
    ...knownPeer(to.data),
    `ip saddr @ipsec4 ${to.data}`,
    `ip6 saddr @ipsec6 ${to.data}`,
    ...ikeControl(32, to).map((rule) => `@th,64,32 0 ${rule}`),
    `udp length 9 @th,64,8 0xff ${to.control}`,
    `@th,64,32 > 255 udp length >= 24 ${to.unissued}`,
    to.malformed,
  ],
  softether: (to) => [...knownPeer(to.data), to.unissued],
  // 1701 carries L2TP, nearly always inside IPsec: what arrives bare is from nobody we know.
  l2tp: (to) => [...knownPeer(to.data), `@th,64,4 { 0xc, 0x4, 0x0 } ${to.handshake}`, to.malformed],
  sstp: (to) => [...knownPeer(to.data), to.unissued],
  other: (to) => [...knownPeer(to.data), to.unissued],
};

/** IKE header at payload byte `shift/8`: initiator SPI not zero, known version, length below 64 KiB (RFC 7296 3.1). */
function ike(shift: number): string {
  const at = (byte: number) => 64 + shift + 8 * byte;
  return `udp length >= ${36 + shift / 8} @th,${at(17)},8 { 0x10, 0x20 } @th,${at(24)},16 0 @th,${at(0)},64 != 0`;
}
/** IKE_SA_INIT (34), or main and aggressive mode of version 1, with a responder SPI still zero, and no response (RFC 7296 3.1). */
const ikeHandshake = (shift: number, to: Lanes) => [
  `${ike(shift)} @th,${64 + shift + 8 * 18},8 { 34, 2, 4 } @th,${64 + shift + 8 * 19},8 & 0x20 == 0 @th,${64 + shift + 64},64 0 ${to.handshake}`,
];
const ikeControl = (shift: number, to: Lanes) => [
  `${ike(shift)} @th,${64 + shift + 8 * 18},8 { 2, 4, 5, 6, 32, 34, 35, 36, 37, 38, 43, 44 } ${to.control}`,
];
