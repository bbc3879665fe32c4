import type { VpnProtocol } from "@flowtriq/protocol/lane";
import type { Packet } from "./packet.ts";

/**
 * What a packet on a VPN port says it is, judged by shape alone. Offsets `pN` count UDP payload octets; words are read
 * big-endian, as nftables compares them; lengths are payload lengths (UDP length - 8). Only a server's side is described: what
 * may arrive from a client. Sources: WireGuard whitepaper 5.4; OpenVPN ssl_pkt.h; RFC 7296 3.1, RFC 3948 2, RFC 2408 3.1.
 */
export const WIREGUARD = {
  /** p0-3: the type, then three zero octets. */
  initiation: { word: 0x01000000, length: 148 },
  response: { word: 0x02000000, length: 92, receiverAt: 8 },
  cookieReply: { word: 0x03000000, length: 64, receiverAt: 4 },
  data: { word: 0x04000000, minLength: 32, receiverAt: 4, counterAt: 8 },
  /** p4-7 of an initiation or response: the index that its sender will be addressed by. */
  senderAt: 4,
} as const;

/** p0 = opcode << 3 | key id. A stranger's packets carry key id 0. */
export const OPENVPN = {
  minLength: 14,
  /** Client hard resets V2 and V3 (opcodes 7 and 10), with a session id at p1-8 that is never zero. */
  handshake: [0x38, 0x50],
  resetV2: 0x38,
  /** A V2 reset: 14 octets, with tls-auth of MD5, SHA-1, SHA-224, SHA-256 (or tls-crypt), SHA-384, SHA-512. */
  resetLengths: [14, 38, 42, 50, 54, 70, 86],
  /** A V3 reset carries a wrapped key. Its packet id, p9-12, is the first of those from 0, 0x0a010000 or 0x0f000000 on. */
  resetV3MinLength: 120,
  packetIdAt: 9,
  /** Control V1, acknowledgement V1, control with a wrapped client key (4, 5, 11). */
  control: [0x20, 0x28, 0x58],
  /** Opcodes of soft reset, data V1 and data V2, with any key id. */
  data: [3, 6, 9],
  /** Data V2: a peer id at p1-3, then, with an AEAD cipher, the packet id. */
  dataV2: 9,
  dataV2PacketIdAt: 4,
  sessionIdAt: 1,
  serverResetOpcode: 8,
  controlOpcode: 4,
  /** Opcodes that a server sends only to a peer that answered its reset. */
  proving: [4, 6, 9],
} as const;

/** On port 4500 all offsets are 4 more, behind a zero word. */
export const IKE = {
  initiatorSpiAt: 0,
  responderSpiAt: 8,
  nextPayloadAt: 16,
  versionAt: 17,
  exchangeAt: 18,
  flagsAt: 19,
  /** Equals the payload length (less the zero word on 4500); the kernel compares only that the upper half is zero. */
  lengthAt: 24,
  minLength: 28,
  versions: [0x10, 0x20],
  flags: { initiator: 0x08, response: 0x20, encrypted: 0x01 },
  /** Next payload of an encrypted message, or of a fragment of one. */
  encryptedPayloads: [46, 53],
  /** IKE_SA_INIT; version 1: main and aggressive mode. With a responder SPI of zero they open a session. */
  opening: [34, 2, 4],
  exchanges: [2, 4, 5, 6, 32, 34, 35, 36, 37, 38, 43, 44],
  /** Exchanges that we send only to a peer that has answered us. */
  proving: [35, 36, 37, 5, 6, 32],
  /** IKE_AUTH, or quick mode of version 1: one answer for each session that comes up. */
  finishing: [35, 32],
  natT: { keepalive: 0xff, markerLength: 4, minSpi: 256, minEspLength: 16 },
} as const;

/** `data` is the shape of data, which proves nothing by itself. A NAT keepalive (RFC 3948 2.3) counts as `control`. */
export type Shape = "handshake" | "control" | "data" | "malformed";

/** Four octets of payload, big-endian; -1 where they were not captured. */
export function word(payload: Uint8Array, at: number): number {
  if (at + 4 > payload.length) return -1;
  return ((payload[at]! << 24) | (payload[at + 1]! << 16) | (payload[at + 2]! << 8) | payload[at + 3]!) >>> 0;
}

/** Octets of UDP payload that the header announces; the kernel's rules look at the same field. */
export const udpPayloadLength = (packet: Packet): number => packet.udpLength - 8;

export const shapes = {
  wireguard: (packet) => wireguardShape(packet, false),
  openvpn: (packet) => openvpnShape(packet, false),
  ike: (packet) => ikeShape(packet.payload, udpPayloadLength(packet)),
  ipsec_nat_t: natTraversalShape,
  // Nothing published to hold these to: peers are known from what our side answers.
  softether: () => "data",
  // The first nibble holds the type and length bits (RFC 2661 3.1).
  l2tp: ({ payload }) => (includes([0xc, 0x4, 0x0], (payload[0] ?? 0xff) >> 4) ? "handshake" : "malformed"),
  sstp: () => "data",
  other: () => "data",
} satisfies Record<VpnProtocol, (packet: Packet) => Shape>;

/** `lenient`: the three octets after the type may hold anything. */
export function wireguardShape(packet: Packet, lenient: boolean): Shape {
  const length = udpPayloadLength(packet);
  switch (wireguardType(packet, lenient)) {
    case 1:
      return length === WIREGUARD.initiation.length ? "handshake" : "malformed";
    case 2:
      return length === WIREGUARD.response.length ? "control" : "malformed";
    case 3:
      return length === WIREGUARD.cookieReply.length ? "control" : "malformed";
    case 4:
      return length >= WIREGUARD.data.minLength ? "data" : "malformed";
    default:
      return "malformed";
  }
}

/** 1 to 4, or 0 for anything else. */
export function wireguardType({ payload }: Packet, lenient: boolean): number {
  const type = payload[0] ?? 0;
  return type <= 4 && (lenient || word(payload, 0) === type << 24) ? type : 0;
}

/** The index at which a WireGuard packet addresses us; -1 for one that carries none. */
export function receiverIndex(packet: Packet, lenient = false): number {
  const type = wireguardType(packet, lenient);
  if (type === 2) return word(packet.payload, WIREGUARD.response.receiverAt);
  return type === 3 || type === 4 ? word(packet.payload, WIREGUARD.data.receiverAt) : -1;
}

/** `lenient`: resets of any length open a session. */
export function openvpnShape({ payload, udpLength }: Packet, lenient: boolean): Shape {
  const first = payload[0] ?? -1;
  const length = udpLength - 8;
  if (length < OPENVPN.minLength) return "malformed";
  if (includes(OPENVPN.handshake, first)) {
    const { resetV2, resetLengths, resetV3MinLength, packetIdAt } = OPENVPN;
    const plausible =
      first === resetV2
        ? includes(resetLengths, length)
        : length >= resetV3MinLength && payload[packetIdAt + 1]! <= 1 && payload[packetIdAt + 2] === 0;
    return (lenient || plausible) && !zero64(payload, OPENVPN.sessionIdAt) ? "handshake" : "malformed";
  }
  if (includes(OPENVPN.control, first)) return "control";
  return includes(OPENVPN.data, first >> 3) ? "data" : "malformed";
}

function ikeShape(message: Uint8Array, length: number): Shape {
  if (length < IKE.minLength || word(message, IKE.lengthAt) >>> 16 !== 0) return "malformed";
  if (zero64(message, IKE.initiatorSpiAt) || !includes(IKE.versions, message[IKE.versionAt]!)) return "malformed";
  const exchange = message[IKE.exchangeAt]!;
  const isResponse = (message[IKE.flagsAt]! & IKE.flags.response) !== 0;
  if (includes(IKE.opening, exchange) && !isResponse && zero64(message, IKE.responderSpiAt)) return "handshake";
  return includes(IKE.exchanges, exchange) ? "control" : "malformed";
}

function natTraversalShape(packet: Packet): Shape {
  const length = udpPayloadLength(packet);
  const { keepalive, markerLength, minSpi, minEspLength } = IKE.natT;
  if (length === 1) return packet.payload[0] === keepalive ? "control" : "malformed";
  const spi = word(packet.payload, 0);
  if (spi === 0) return ikeShape(packet.payload.subarray(markerLength), length - markerLength);
  return spi >= minSpi && length >= minEspLength ? "data" : "malformed";
}

const zero64 = (message: Uint8Array, at: number) => word(message, at) === 0 && word(message, at + 4) === 0;
const includes = (list: readonly number[], value: number) => list.includes(value);

/** Whether a packet that our own VPN server sends proves that its destination is genuine. */
export function provesPeer(packet: Packet, protocol: VpnProtocol): boolean {
  const { payload } = packet;
  switch (protocol) {
    case "wireguard":
      // A cookie reply goes to anybody who knows the server's public key.
      return udpPayloadLength(packet) >= WIREGUARD.data.minLength && payload[0] !== WIREGUARD.cookieReply.word >>> 24;
    case "openvpn":
      return payload.length > 0 && includes(OPENVPN.proving, payload[0]! >> 3);
    case "ike":
      return provesIkePeer(payload);
    case "ipsec_nat_t": {
      const spi = word(payload, 0);
      return spi === 0 ? provesIkePeer(payload.subarray(IKE.natT.markerLength)) : spi >= IKE.natT.minSpi;
    }
    default:
      return true;
  }
}

/** Only encrypted messages prove anything; errors go out in the clear to anybody (RFC 7296 3.14, RFC 7383 2.5, RFC 2408 3.1). */
function provesIkePeer(message: Uint8Array): boolean {
  const exchange = message[IKE.exchangeAt] ?? 0;
  if (!includes(IKE.proving, exchange)) return false;
  if (exchange >= 35) return includes(IKE.encryptedPayloads, message[IKE.nextPayloadAt] ?? 0);
  return ((message[IKE.flagsAt] ?? 0) & IKE.flags.encrypted) !== 0;
}

/** Whether a packet that our own VPN server sends is one that only a finished handshake gets; the kernel counts the same. */
export function finishesHandshake(packet: Packet, protocol: VpnProtocol): boolean {
  const { payload } = packet;
  switch (protocol) {
    case "wireguard":
      return payload[0] === WIREGUARD.response.word >>> 24;
    case "openvpn":
      return payload.length > 0 && payload[0]! >> 3 === OPENVPN.controlOpcode;
    case "ike":
      return includes(IKE.finishing, payload[IKE.exchangeAt] ?? 0);
    case "ipsec_nat_t":
      return word(payload, 0) === 0 && includes(IKE.finishing, payload[IKE.natT.markerLength + IKE.exchangeAt] ?? 0);
    default:
      return false;
  }
}
