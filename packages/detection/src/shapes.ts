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
  data: { word: 0x04000000, minLength: 32, receiverAt: 4 },
  /** p4-7 of an initiation or response: the index that its sender will be addressed by. */
  senderAt: 4,
} as const;

/** p0 = opcode << 3 | key id. A stranger's packets carry key id 0. */
export const OPENVPN = {
  /** Session id at p1-8, never zero. */
  handshake: [
    { first: 0x38, minLength: 14 }, // 7, hard reset V2
    { first: 0x50, minLength: 344 }, // 10, hard reset V3: a wrapped client key is at least 290 octets
  ],
  control: [
    { first: 0x20, minLength: 14 }, // 4, control V1
    { first: 0x28, minLength: 22 }, // 5, acknowledgement V1
    { first: 0x58, minLength: 344 }, // 11, control with wrapped client key
  ],
  /** Any key id: the opcode alone is compared. */
  data: [
    { opcode: 3, minLength: 14 }, // soft reset
    { opcode: 6, minLength: 21 }, // data V1
    { opcode: 9, minLength: 24 }, // data V2
  ],
  sessionIdAt: 1,
  serverResetOpcode: 8,
} as const;

/** On port 4500 all offsets are 4 more, behind a zero word. */
export const IKE = {
  initiatorSpiAt: 0,
  responderSpiAt: 8,
  nextPayloadAt: 16,
  versionAt: 17,
  exchangeAt: 18,
  flagsAt: 19,
  /** Equals the payload length (less the zero word on 4500). */
  lengthAt: 24,
  minLength: 28,
  flags: { initiator: 0x08, response: 0x20 },
  v2: {
    version: 0x20,
    /** The only ones whose responder SPI may be zero; without the response flag they open a session. 38: RFC 5723. */
    opening: [34, 38],
    exchanges: [34, 35, 36, 37, 38, 43, 44],
    /** Exchanges that we send only inside an IKE SA: they prove the peer. */
    proving: [35, 36, 37],
  },
  v1: {
    version: 0x10,
    /** Main mode and aggressive mode. */
    opening: [2, 4],
    exchanges: [2, 4, 5, 6, 32],
    /** Transaction and quick mode: only after phase 1. */
    proving: [6, 32],
  },
  natT: { keepalive: 0xff, markerLength: 4, minSpi: 256, minEspLength: 16, espLengthMultiple: 4 },
} as const;

/** `data` is the shape of data, which proves nothing by itself; `keepalive` a datagram that means nothing (RFC 3948 2.3). */
export type Shape = "handshake" | "control" | "data" | "keepalive" | "malformed";

/** Four octets of payload, big-endian; -1 where they were not captured. */
export function word(payload: Uint8Array, at: number): number {
  if (at + 4 > payload.length) return -1;
  return ((payload[at]! << 24) | (payload[at + 1]! << 16) | (payload[at + 2]! << 8) | payload[at + 3]!) >>> 0;
}

/** Octets of UDP payload that the header announces; the kernel's rules look at the same field. */
export const udpPayloadLength = (packet: Packet): number => packet.udpLength - 8;

export const shapes = {
  wireguard: wireguardShape,
  openvpn: openvpnShape,
  ike: (packet) => ikeShape(packet.payload, udpPayloadLength(packet)),
  ipsec_nat_t: natTraversalShape,
  // Nothing published to hold these to: peers are known from what our side answers.
  softether: () => "data",
  l2tp: () => "data",
  sstp: () => "data",
  other: () => "data",
} satisfies Record<VpnProtocol, (packet: Packet) => Shape>;

function wireguardShape(packet: Packet): Shape {
  const length = udpPayloadLength(packet);
  switch (word(packet.payload, 0)) {
    case WIREGUARD.initiation.word:
      return length === WIREGUARD.initiation.length ? "handshake" : "malformed";
    case WIREGUARD.response.word:
      return length === WIREGUARD.response.length ? "control" : "malformed";
    case WIREGUARD.cookieReply.word:
      return length === WIREGUARD.cookieReply.length ? "control" : "malformed";
    case WIREGUARD.data.word:
      return length >= WIREGUARD.data.minLength ? "data" : "malformed";
    default:
      return "malformed";
  }
}

/** The index at which a WireGuard packet addresses us; -1 for one that carries none. */
export function receiverIndex({ payload }: Packet): number {
  switch (word(payload, 0)) {
    case WIREGUARD.response.word:
      return word(payload, WIREGUARD.response.receiverAt);
    case WIREGUARD.cookieReply.word:
    case WIREGUARD.data.word:
      return word(payload, WIREGUARD.data.receiverAt);
    default:
      return -1;
  }
}

function openvpnShape(packet: Packet): Shape {
  const length = udpPayloadLength(packet);
  const first = packet.payload[0] ?? -1;
  const fits = (message: { first: number; minLength: number }) =>
    message.first === first && length >= message.minLength;
  const session = (word(packet.payload, 1) | word(packet.payload, 5)) !== 0;
  if (session && OPENVPN.handshake.some(fits)) return "handshake";
  if (session && OPENVPN.control.some(fits)) return "control";
  return OPENVPN.data.some(({ opcode, minLength }) => opcode === first >> 3 && length >= minLength)
    ? "data"
    : "malformed";
}

function ikeShape(message: Uint8Array, length: number): Shape {
  if (length < IKE.minLength || word(message, IKE.lengthAt) !== length) return "malformed";
  if (zeroSpi(message, IKE.initiatorSpiAt)) return "malformed";
  const version = message[IKE.versionAt] === IKE.v2.version ? IKE.v2 : IKE.v1;
  const exchange = message[IKE.exchangeAt]!;
  if (message[IKE.versionAt] !== version.version || !includes(version.exchanges, exchange)) return "malformed";
  if (!zeroSpi(message, IKE.responderSpiAt)) return "control";
  if (!includes(version.opening, exchange)) return "malformed";
  // A cookie or "try another group" comes back to an initiator before there is a responder SPI (RFC 7296 2.6).
  const response = version === IKE.v2 && (message[IKE.flagsAt]! & IKE.flags.response) !== 0;
  return response ? "control" : "handshake";
}

function natTraversalShape(packet: Packet): Shape {
  const length = udpPayloadLength(packet);
  const { keepalive, markerLength, minSpi, minEspLength, espLengthMultiple } = IKE.natT;
  if (length === 1) return packet.payload[0] === keepalive ? "keepalive" : "malformed";
  const spi = word(packet.payload, 0);
  if (spi === 0) return ikeShape(packet.payload.subarray(markerLength), length - markerLength);
  return spi >= minSpi && length >= minEspLength && length % espLengthMultiple === 0 ? "data" : "malformed";
}

const zeroSpi = (message: Uint8Array, at: number) => word(message, at) === 0 && word(message, at + 4) === 0;
const includes = (list: readonly number[], value: number) => list.includes(value);

/** Whether a packet that our own VPN server sends proves that its destination is genuine. */
export function provesPeer(packet: Packet, protocol: VpnProtocol): boolean {
  const { payload } = packet;
  switch (protocol) {
    case "wireguard":
      // A cookie reply goes to anybody who knows the server's public key.
      return word(payload, 0) !== WIREGUARD.cookieReply.word;
    case "openvpn":
      // So does the server's half of a reset.
      return payload.length > 0 && payload[0]! >> 3 !== OPENVPN.serverResetOpcode;
    case "ike":
      return provesIke(payload);
    case "ipsec_nat_t": {
      const spi = word(payload, 0);
      return spi === 0 ? provesIke(payload.subarray(IKE.natT.markerLength)) : spi >= IKE.natT.minSpi;
    }
    default:
      return true;
  }
}

function provesIke(message: Uint8Array): boolean {
  const exchange = message[IKE.exchangeAt] ?? 0;
  return message[IKE.versionAt] === IKE.v1.version
    ? includes(IKE.v1.proving, exchange)
    : includes(IKE.v2.proving, exchange);
}
