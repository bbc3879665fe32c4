import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { Vector } from "@flowtriq/protocol/vector";
import { isIkeAnswer, quotedPacket } from "./flows.ts";
import { portFor } from "./lanes.ts";
import { type Packet, PROTOCOL, TCP } from "./packet.ts";
import { REFLECTORS } from "./reflectors.ts";
import { IKE, shapes, udpPayloadLength, wireguardShape, word } from "./shapes.ts";

/** What a single packet is, judged by its content: the material from which vectors are told. */
export const KINDS = [
  "dns_answer",
  "ntp_answer",
  "ssdp_answer",
  "snmp_answer",
  "memcached_answer",
  "cldap_answer",
  "chargen_answer",
  "wsd_answer",
  "coap_answer",
  "ike_answer",
  "openvpn_answer",
  "service_answer",
  "fragment",
  "syn",
  "synack",
  "ack",
  "rst",
  "odd_tcp",
  "echo",
  "icmp_error",
  "icmp",
  "gre",
  "esp",
  "ah",
  "protocol",
  "wireguard_handshake",
  "wireguard_control",
  "wireguard_data",
  "openvpn_handshake",
  "openvpn_control",
  "openvpn_data",
  "ike_handshake",
  "ike_control",
  "esp_in_udp",
  "udp",
] as const;
export type Kind = (typeof KINDS)[number];

export function kindOf(packet: Packet, ports: readonly VpnPort[], lane?: LaneId): Kind {
  // Pieces of large pings; of what else a piece is part, nobody can tell.
  if (packet.fragmentOffset > 0) return isIcmp(packet) ? "icmp" : "fragment";
  switch (packet.protocol) {
    case PROTOCOL.udp:
      return packet.transport ? udpKind(packet, ports) : "udp";
    case PROTOCOL.tcp:
      return packet.transport ? tcpKind(packet) : "odd_tcp";
    case PROTOCOL.icmp:
    case PROTOCOL.icmp6:
      return icmpKind(packet);
    case PROTOCOL.gre:
      return "gre";
    case PROTOCOL.esp:
      return "esp";
    case PROTOCOL.ah:
      return "ah";
    default:
      return lane === "host:fragment" ? "fragment" : "protocol";
  }
}

const isIcmp = ({ protocol }: Packet) => protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6;

function tcpKind({ tcpFlags }: Packet): Kind {
  // The two highest bits are ECN's (RFC 3168).
  const flags = tcpFlags & 0x3f;
  if (flags === TCP.syn) return "syn";
  if (flags === (TCP.syn | TCP.ack)) return "synack";
  if (flags & TCP.rst && !(flags & TCP.syn)) return "rst";
  // An acknowledgement with or without data or an end; anything else no stack sends.
  return flags & TCP.ack && !(flags & TCP.syn) && (flags & (TCP.fin | TCP.urg | TCP.psh)) !== 0x29 ? "ack" : "odd_tcp";
}

function icmpKind(packet: Packet): Kind {
  if (!packet.transport) return "icmp";
  const { icmpType, family } = packet;
  if (family === 4 ? icmpType === 8 || icmpType === 0 : icmpType === 128 || icmpType === 129) return "echo";
  return quotedPacket(packet) ? "icmp_error" : "icmp";
}

function udpKind(packet: Packet, ports: readonly VpnPort[]): Kind {
  const declared = portFor(packet.destinationPort, "udp", ports);
  const answer = answerKind(packet);
  if (answer) return answer;
  const vpn = vpnKind(packet, declared);
  if (vpn) return vpn;
  const service = REFLECTORS.get(packet.sourcePort) === "udp_amplification" && packet.payloadLength > 0;
  return service && !declared ? "service_answer" : "udp";
}

/** The services whose answer a datagram could be if it came from their port, as bits; for finding those behind a NAT. */
export function resembledAnswers(packet: Packet): number {
  if (packet.payload.length < 4 || isFilled(packet)) return 0;
  return ANSWERS.reduce((bits, [kind, , fits], i) => {
    // Half of all datagrams have an NTP mode and version: only its rarer messages count here.
    const loose = kind !== "ntp_answer" || isNtpControl(packet);
    return loose && fits(packet, true) ? bits | (1 << i) : bits;
  }, 0);
}
export const resembles = (bits: number, kind: Kind) =>
  (bits & (1 << ANSWERS.findIndex(([answer]) => answer === kind))) !== 0;

/** Which service's answer a datagram is. Content first: behind a NAT a reflector's port is any port. */
function answerKind(packet: Packet): Kind | undefined {
  const { payload, sourcePort } = packet;
  if (payload.length < 4) return undefined;
  for (const [kind, port, fits] of ANSWERS) {
    if (fits(packet, sourcePort === port)) return kind;
  }
  return undefined;
}

type Fits = (packet: Packet, fromItsPort: boolean) => boolean;
/** Strict where the port is another one. In order: the surest content first. */
const ANSWERS: readonly [Kind, number, Fits][] = [
  [
    "ssdp_answer",
    1900,
    ({ payload }, known) => startsWith(payload, "HTTP/1.1 200") || (known && startsWith(payload, "NOTIFY ")),
  ],
  ["memcached_answer", 11211, isMemcached],
  ["snmp_answer", 161, isSnmp],
  ["cldap_answer", 389, isCldap],
  ["chargen_answer", 19, isChargen],
  ["wsd_answer", 3702, isWsd],
  ["ntp_answer", 123, isNtpAnswer],
  ["dns_answer", 53, isDnsAnswer],
  ["coap_answer", 5683, isCoap],
  ["ike_answer", 500, (packet) => isIke(packet) && isIkeAnswer(ikeMessage(packet))],
  ["openvpn_answer", 1194, isOpenvpnReset],
];

export const vectorOfAnswer: Partial<Record<Kind, Vector>> = {
  dns_answer: "dns_amplification",
  ntp_answer: "ntp_amplification",
  ssdp_answer: "ssdp_amplification",
  snmp_answer: "snmp_amplification",
  memcached_answer: "memcached_amplification",
  cldap_answer: "cldap_amplification",
  chargen_answer: "chargen_amplification",
  wsd_answer: "wsd_amplification",
  coap_answer: "coap_amplification",
  ike_answer: "ike_amplification",
  openvpn_answer: "openvpn_amplification",
  service_answer: "udp_amplification",
};

const startsWith = (payload: Uint8Array, text: string, from = 0) => {
  if (payload.length < from + text.length) return false;
  for (let at = 0; at < text.length; at++) if (payload[from + at] !== text.charCodeAt(at)) return false;
  return true;
};

function contains(payload: Uint8Array, text: string): boolean {
  const last = Math.min(payload.length, 200) - text.length;
  for (let at = 0; at <= last; at++) if (startsWith(payload, text, at)) return true;
  return false;
}

/** RFC 1035 4.1.1: a response with the standard opcode and counts that an answer can have. */
function isDnsAnswer({ payload, destinationPort, sourcePort }: Packet, known: boolean): boolean {
  if (payload.length < 12 || !(payload[2]! & 0x80) || payload[2]! & 0x78) return false;
  const questions = (payload[4]! << 8) | payload[5]!;
  const answers = (payload[6]! << 8) | payload[7]!;
  if (questions > 1 || answers > 1000 || (payload[3]! & 0x0f) > 10) return false;
  // Multicast and NetBIOS names have the same header on ports of their own.
  return (
    known ||
    (questions === 1 &&
      answers < 200 &&
      !(payload[3]! & 0x40) &&
      ![5353, 5355, 137].includes(sourcePort) &&
      destinationPort !== 53 &&
      dnsQuestion(payload) !== undefined)
  );
}

/** Type and hash of the first question, case-folded; undefined when there is none or it was cut. */
export function dnsQuestion(payload: Uint8Array): { type: number; hash: number } | undefined {
  if (payload.length < 17 || payload[5] !== 1) return undefined;
  let at = 12;
  let hash = 0x811c9dc5;
  for (let labels = 0; labels < 40 && at < payload.length; labels++) {
    const length = payload[at]!;
    if (length === 0) {
      if (at + 5 > payload.length) return undefined;
      return { type: (payload[at + 1]! << 8) | payload[at + 2]!, hash };
    }
    if (length > 63) return undefined;
    for (let i = 1; i <= length && at + i < payload.length; i++) {
      const octet = payload[at + i]!;
      hash = Math.imul(hash ^ (octet >= 65 && octet <= 90 ? octet | 0x20 : octet), 0x01000193) >>> 0;
    }
    at += length + 1;
  }
  return undefined;
}

/** RFC 5905 7.3: stratum and precision hold few values. Modes 6 and 7 are ntpq's and ntpdc's. */
function isNtpAnswer(packet: Packet, known: boolean): boolean {
  const { payload } = packet;
  const mode = payload[0]! & 7;
  if (isNtpControl(packet)) return known || (mode === 7 && payload[3] === 42);
  const version = (payload[0]! >> 3) & 7;
  const plausible = version >= 1 && version <= 4 && payload[1]! <= 16 && (payload[3]! >= 0xd0 || payload[3] === 0);
  return known && (mode === 4 || mode === 2 || mode === 5) && packet.payloadLength >= 48 && plausible;
}

/** Answers to ntpq and ntpdc: response bit, and an operation or request that exists. */
export function isNtpControl({ payload }: Packet): boolean {
  const first = payload[0]!;
  const second = payload[1]!;
  if ((first & 7) === 7) return (first & 0x80) !== 0 && payload[2]! <= 3 && payload[3]! <= 45;
  return (first & 7) === 6 && (second & 0x80) !== 0 && (second & 0x1f) <= 12;
}

/** Where the element that begins at `at` has its content; undefined when that is not ASN.1 BER with a definite length. */
function berContent(payload: Uint8Array, at: number): number | undefined {
  const length = payload[at + 1];
  if (length === undefined) return undefined;
  if (length < 0x80) return at + 2;
  return length > 0x80 && length <= 0x84 ? at + 2 + (length & 0x7f) : undefined;
}

/** RFC 3416: SEQUENCE { version, community, response [2] }; version 3 hides the rest. */
function isSnmp({ payload, destinationPort }: Packet, known: boolean): boolean {
  if (payload[0] !== 0x30) return false;
  const at = berContent(payload, 0);
  if (at === undefined || payload[at] !== 2 || payload[at + 1] !== 1) return false;
  const version = payload[at + 2]!;
  if (version === 3) return known && payload[at + 3] === 0x30;
  if (version > 1 || payload[at + 3] !== 4) return false;
  const pdu = at + 5 + (payload[at + 4] ?? 0);
  return payload[pdu] === 0xa2 && (known || destinationPort !== 161);
}

/** RFC 4511: LDAPMessage { messageID, searchResEntry [4] or searchResDone [5] }. */
function isCldap({ payload }: Packet, known: boolean): boolean {
  if (payload[0] !== 0x30) return false;
  const at = berContent(payload, 0);
  if (at === undefined || payload[at] !== 2) return false;
  const operation = payload[at + 2 + (payload[at + 1] ?? 0)];
  return (operation === 0x64 || operation === 0x65) && (known || payload[at + 1]! <= 4);
}

/** The text protocol behind an 8-octet frame header: request id, sequence, total, reserved (memcached protocol.txt). */
function isMemcached({ payload }: Packet, known: boolean): boolean {
  if (payload.length < 8 || payload[6] !== 0 || payload[7] !== 0) return false;
  const text = ["VALUE ", "STAT ", "END\r\n", "ERROR"].some((reply) => startsWith(payload, reply, 8));
  const sequence = (payload[2]! << 8) | payload[3]!;
  const total = (payload[4]! << 8) | payload[5]!;
  return text || (known && total > 0 && sequence < total);
}

/** RFC 864's usual pattern: lines of printable characters, each one further than the last. */
function isChargen({ payload }: Packet, known: boolean): boolean {
  const length = Math.min(payload.length, 72);
  if (length < 16) return false;
  let rising = 0;
  for (let at = 0; at < length; at++) {
    const octet = payload[at]!;
    if ((octet < 32 || octet > 126) && octet !== 13 && octet !== 10) return false;
    if (at > 0 && octet - payload[at - 1]! === 1) rising++;
  }
  return known || rising >= length * 0.85;
}

/** WS-Discovery answers in SOAP. */
function isWsd({ payload, destinationPort }: Packet, known: boolean): boolean {
  if (payload[0] !== 0x3c || destinationPort === 3702) return false;
  return known || contains(payload, "Envelope") || contains(payload, "soap") || contains(payload, "SOAP");
}

/** RFC 7252 3: version 1, a token of at most 8 octets, a response code of class 2, 4 or 5. */
function isCoap({ payload }: Packet, known: boolean): boolean {
  const code = payload[1]! >> 5;
  return known && payload[0]! >> 6 === 1 && (payload[0]! & 0x0f) <= 8 && (code === 2 || code === 4 || code === 5);
}

const ikeMessage = ({ payload }: Packet) =>
  word(payload, 0) === 0 ? payload.subarray(IKE.natT.markerLength) : payload;

/** An IKE message, by all that its header has: RFC 7296 3.1, RFC 2408 3.1. */
function isIke(packet: Packet): boolean {
  const message = ikeMessage(packet);
  const length = udpPayloadLength(packet) - (packet.payload.length - message.length);
  return (
    length >= IKE.minLength &&
    word(message, IKE.lengthAt) === length &&
    IKE.versions.includes(message[IKE.versionAt] as 16) &&
    IKE.exchanges.includes(message[IKE.exchangeAt] as 34)
  );
}

/** The server's half of a reset (opcode 8), as reflected off a server: ssl_pkt.h. */
function isOpenvpnReset(packet: Packet, known: boolean): boolean {
  const { payload } = packet;
  const length = udpPayloadLength(packet);
  if (payload[0] !== 0x40 || length < 14 || length > 100) return false;
  if (known) return true;
  // Without an HMAC all of it is in the clear: one acknowledgement, of packet 0.
  return length === 26 && payload[9] === 1 && word(payload, 10) === 0;
}

/** VPN messages: on a declared port by its protocol, elsewhere only where the content leaves no doubt. */
function vpnKind(packet: Packet, declared: VpnPort | undefined): Kind | undefined {
  const protocol = declared?.protocol;
  if (protocol === undefined || protocol === "wireguard") {
    const shape = wireguardShape(packet, declared?.strictness === "lenient");
    if (shape !== "malformed") return `wireguard_${shape}`;
  }
  if (protocol === undefined && isIke(packet)) {
    const message = ikeMessage(packet);
    const opens = word(message, IKE.responderSpiAt) === 0 && word(message, IKE.responderSpiAt + 4) === 0;
    return opens ? "ike_handshake" : "ike_control";
  }
  if (isText(packet)) return undefined;
  if (protocol === "openvpn" || (protocol === undefined && packet.destinationPort === 1194)) {
    const shape = shapes.openvpn(packet);
    return shape === "malformed" ? undefined : `openvpn_${shape}`;
  }
  if (protocol === undefined) return isClientReset(packet) ? "openvpn_handshake" : undefined;
  if (protocol === "ike" || protocol === "ipsec_nat_t") {
    const shape = shapes[protocol](packet);
    if (shape === "malformed") return undefined;
    return shape === "data" ? "esp_in_udp" : `ike_${shape}`;
  }
  return undefined;
}

const FIRST = { least: 16, most: 64 };

/** One octet again and again. */
function isFilled({ payload }: Packet): boolean {
  const end = Math.min(payload.length, FIRST.most);
  for (let at = 1; at < end; at++) if (payload[at] !== payload[0]) return false;
  return end >= FIRST.least;
}

/**
 * One octet again and again, or nothing but letters: what tools fill datagrams with. One octet makes a message of OpenVPN, four
 * make one of ESP, but what follows is never this.
 */
function isText(packet: Packet): boolean {
  const { payload } = packet;
  const end = Math.min(payload.length, FIRST.most);
  if (end < FIRST.least) return false;
  for (let at = 0; at < end; at++) {
    const octet = payload[at]!;
    if ((octet < 32 || octet > 126) && octet !== 9 && octet !== 10 && octet !== 13) return isFilled(packet);
  }
  return true;
}

/** A client's hard reset on a port that nobody declared: the lengths and packet ids of plain, tls-auth and tls-crypt. */
function isClientReset(packet: Packet): boolean {
  const { payload } = packet;
  const length = udpPayloadLength(packet);
  if (payload[0] !== 0x38 || (word(payload, 1) | word(payload, 5)) === 0) return false;
  if (length === 14) return word(payload, 9) === 0 && payload[13] === 0;
  if (length === 42) return word(payload, 29) === 1;
  return length === 54 && (word(payload, 41) === 1 || (word(payload, 9) & 0xf0ffffff) >>> 0 <= 1);
}

/** The name of an ordinary protocol that a plain datagram speaks, or undefined. Only shapes that random bytes rarely have. */
export function ordinaryProtocol(packet: Packet): string | undefined {
  const { payload, sourcePort, destinationPort, payloadLength } = packet;
  const first = payload[0] ?? 0;
  const head = word(payload, 0);
  if (payload.length < 4) return undefined;
  if (destinationPort === 53 || destinationPort === 5353 || destinationPort === 5355) {
    return payload.length >= 12 && !(payload[2]! & 0xf8) && payload[4] === 0 && payload[5]! <= 4 ? "dns" : undefined;
  }
  if (destinationPort === 123) return (first & 7) === 3 && payloadLength >= 48 ? "ntp" : undefined;
  if (word(payload, 4) === 0x2112a442 && first < 4) return "stun";
  // Long header with a known version, or a short header to or from the usual port (RFC 9000 17).
  const version = word(payload, 1);
  if (first >= 0xc0 && (version === 1 || version === 0x6b3343cf || version >>> 8 === 0xff0000)) return "quic";
  const short = first >= 0x40 && first < 0x80 && payloadLength > 20 && !isText(packet);
  if (short && (destinationPort === 443 || sourcePort === 443)) return "quic";
  if (first >= 20 && first <= 25 && (payload[1] === 0xfe || payload[1] === 1) && payload[2]! >= 0xfc) return "dtls";
  if (head === 0x54539af0 || head === 0x5453f09f) return "tailscale";
  if ((first === 0x80 || first === 0x90) && payloadLength >= 20) return "rtp";
  if (first === 0x81 && payload[1]! >= 200 && payload[1]! <= 207) return "rtcp";
  if (startsWith(payload, "d1:") || startsWith(payload, "d2:")) return "bittorrent";
  if ((first & 0x0f) === 1 && first <= 0x41 && payload[1]! <= 2 && payloadLength >= 20 && payloadLength === 20)
    return "utp";
  if (head === 0xffffffff) return "source";
  if (first === 0x47 && payloadLength % 188 === 0) return "mpegts";
  if (first === 0x3c && /^<\d{1,3}>/.test(String.fromCharCode(...payload.subarray(0, 5)))) return "syslog";
  if (SIP.some((method) => startsWith(payload, method))) return "sip";
  return undefined;
}
const SIP = ["REGISTER ", "INVITE ", "OPTIONS ", "ACK ", "BYE ", "SIP/2.0 ", "M-SEARCH ", "NOTIFY "];
