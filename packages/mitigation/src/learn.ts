import type { VpnPort } from "@flowtriq/protocol/lane";
import { REFLECTOR_PORTS } from "@flowtriq/protocol/reflector";
import { cookieCounter, finishedCounter, oddCounter } from "./names.ts";

export const REFLECTOR_SET = `{ ${REFLECTOR_PORTS.join(", ")} }`;

/** `timeout` shortens the set's own. */
const toBoth = (guard: string, set: string, key: (family: "ip" | "ip6") => string, timeout = "") => [
  `${guard}update @${set}4 { ${key("ip")}${timeout} }`,
  `${guard}update @${set}6 { ${key("ip6")}${timeout} }`,
];
const peers = (guard: string, set = "peer", timeout = "") =>
  toBoth(guard, set, (family) => `${family} daddr . udp dport`, timeout);
const addresses = (guard: string, set: string, timeout = "") =>
  toBoth(guard, set, (family) => `${family} daddr`, timeout);
/** Whom the server still talks with about who he is: a login that fails is forgotten soon. */
const FOR_A_LOGIN = " timeout 60s";

/**
 * What the server itself sends proves who is real: see docs/agent.md. The counter takes what only a finished handshake gets:
 * WireGuard's response, OpenVPN's control packets, the answer to IKE_AUTH or quick mode. Another counts packets of no known shape,
 * which a server sends only where the protocol is disguised.
 */
export function learnRules(port: VpnPort): string[] {
  const finished = (shape: string) => `${shape} counter name ${finishedCounter(port)}`;
  switch (port.protocol) {
    case "wireguard":
      return [
        `@th,64,8 { 1, 2 } update @wg_index { @th,96,32 }`,
        finished("@th,64,8 2"),
        `@th,64,8 3 counter name ${cookieCounter(port)}`,
        ...addresses("@th,64,8 { 1, 2 } ", "met"),
        // A cookie reply goes to anyone, a response and data only to an authenticated peer.
        ...peers("udp length >= 40 @th,64,8 != 3 "),
        `@th,64,32 != { 0x01000000, 0x02000000, 0x03000000, 0x04000000 } counter name ${oddCounter(port)}`,
      ];
    case "openvpn":
      return [
        finished("@th,64,5 4"),
        // Data (6, 9) goes only to a peer that has logged in, control (4) to one that answered the server's reset (8), which
        // goes to anyone.
        ...peers("@th,64,5 { 6, 9 } "),
        "@th,64,5 9 update @ovpn_id { @th,72,24 }",
        ...addresses("@th,64,5 4 ", "met"),
        ...peers("@th,64,5 4 ", "peer", FOR_A_LOGIN),
        ...peers("@th,64,5 8 ", "answered"),
        `@th,64,5 != { 3, 4, 5, 6, 7, 8, 9, 10, 11 } counter name ${oddCounter(port)}`,
      ];
    case "ike":
      return ikeRules(0, finished);
    case "ipsec_nat_t":
      // The client speaks first after IKE_AUTH, so the answer to that proves it, and so does ESP that we send.
      return [...addresses("@th,64,32 > 255 ", "ipsec"), ...peers("@th,64,32 > 255 "), ...ikeRules(32, finished)];
    default:
      return peers("");
  }
}

/**
 * IKE behind `shift` bits: the marker of port 4500 (RFC 3948 2.2), or nothing. Only what is encrypted proves anything: version 2 then
 * begins with an Encrypted payload (46, or 53 for a fragment, RFC 7383), version 1 sets its flag (RFC 2408 3.1). Errors go out in
 * the clear to anybody.
 */
function ikeRules(shift: 0 | 32, finished: (shape: string) => string): string[] {
  const marker = shift > 0 ? "@th,64,32 0 " : "";
  const byte = (n: number) => `@th,${64 + shift + 8 * n},8`;
  const exchange = `${marker}${byte(18)}`;
  const version1 = `${exchange} { 5, 6, 32 } ${byte(19)} & 1 == 1 `;
  const version2 = (exchanges: string) => `${exchange} ${exchanges} ${byte(16)} { 46, 53 } `;
  const learn = (proven: string, timeout = "") => [
    ...addresses(proven, "ipsec", timeout),
    ...peers(proven, "peer", timeout),
  ];
  return [
    finished(`${exchange} { 35, 32 }`),
    // Whoever answers must name the SPI that we chose: as responder, or, where we have begun, as initiator.
    `${exchange} { 34, 35, 36, 37, 2, 4, 5, 6, 32 } @th,${128 + shift},64 != 0 update @ike_spi { @th,${128 + shift},64 }`,
    `${exchange} { 34, 2, 4 } @th,${128 + shift},64 0 update @ike_spi { @th,${64 + shift},64 }`,
    ...addresses(`${exchange} { 34, 2 } `, "answered_ike"),
    // The answer to IKE_AUTH may be a refusal, and the one after it never come.
    ...learn(version2("35"), FOR_A_LOGIN),
    ...learn(version2("{ 36, 37 }")),
    ...learn(version1),
    ...addresses(version2("{ 36, 37 }"), "met"),
    ...addresses(version1, "met"),
  ];
}

/** The host's own TCP: it sends segments that are no reset only within connections, and SYN-ACK to whoever asks. */
export const TCP_RULES = [
  ...tcpPeers("tcp flags & (syn | rst) == 0 ", "tcppeer"),
  ...tcpPeers("tcp flags & (syn | ack) == (syn | ack) ", "tcpopen"),
];
function tcpPeers(guard: string, set: string): string[] {
  return toBoth(guard, set, (family) => `${family} daddr . tcp dport . tcp sport`);
}

/** Public services that the host, or whoever it routes for, asks. */
export const ASKED_RULES = [
  ...peers(`udp dport ${REFLECTOR_SET} `, "asked"),
  ...toBoth("tcp flags & (fin | syn | rst | ack) == syn ", "askedtcp", (family) => `${family} daddr . tcp dport`),
  ...toBoth("meta l4proto { gre, esp, ah } ", "proto", (family) => `${family} daddr . meta l4proto`),
];
