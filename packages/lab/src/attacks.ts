import { blake2s } from "@noble/hashes/blake2.js";
import { answers } from "./amplification.ts";
import { authRequest, espPacket, initRequest } from "./ipsec.ts";
import type { Family } from "./namespaces.ts";
import { icmpEcho, PROTOCOL, type Segment, TCP, tcp, toPacket, udp } from "./packet.ts";
import type { Random } from "./random.ts";

export interface Target {
  family: Family;
  port: number;
  random: Random;
  /** Base64; only `wireguard_initiation_valid_mac1` needs it. */
  serverPublicKey?: string;
  /**
   * UDP payloads that genuine clients sent, base64. `wireguard_initiation_valid_mac1` (initiations) and `replayed` send them as they
   * are; `wireguard_data` and `openvpn_data` make up what comes behind the index or peer id of one.
   */
  recorded?: string[];
}

export interface Attack {
  /** Where it goes if nothing else is said. Without a meaning for protocols that have no ports. */
  port: number;
  build(target: Target): Segment;
}

const WIREGUARD = 51820;
const OPENVPN = 1194;
const IKE = 500;
const NAT_T = 4500;

/** Every generator by name. Each call builds one packet, and is a pure function of its target's random numbers. */
export const attacks = {
  udp_random: {
    port: WIREGUARD,
    build: ({ random, port }) => udp(fromAnywhere(random, port), random.bytes(random.between(32, 1232)), [[0, 8]]),
  },
  udp_fragment: { port: WIREGUARD, build: udpFragment },

  wireguard_data: {
    port: WIREGUARD,
    build: ({ random, port, recorded }) => {
      const message = random.bytes(random.pick([32, 64, 96, 128, 176, 512, 1104, 1452]));
      message.set([4, 0, 0, 0]);
      const known = overheard(random, recorded);
      if (!known) return udp(fromAnywhere(random, port), message, [[4, 12]]);
      message.set(known.subarray(0, 8));
      return udp(fromAnywhere(random, port), message, [[8, 16]]);
    },
  },
  wireguard_initiation: {
    port: WIREGUARD,
    build: ({ random, port }) => udp(fromAnywhere(random, port), initiation(random), [[4, 12]]),
  },
  wireguard_initiation_valid_mac1: {
    port: WIREGUARD,
    // The mac covers everything before it, so only the source changes from one repetition to the next.
    build: ({ random, port, serverPublicKey, recorded }) => {
      const known = overheard(random, recorded);
      if (known) return udp(fromAnywhere(random, port), known);
      const message = initiation(random);
      message.set(blake2s(message.subarray(0, 116), { key: mac1Key(serverPublicKey), dkLen: 16 }), 116);
      return udp(fromAnywhere(random, port), message);
    },
  },

  openvpn_reset: {
    port: OPENVPN,
    // P_CONTROL_HARD_RESET_CLIENT_V2 wrapped by tls-crypt: opcode, session, packet id, time, HMAC, then 5 encrypted bytes.
    build: ({ random, port }) => {
      const message = random.bytes(54);
      message.set([0x38]);
      message.set([0, 0, 0, 1, 0x65], 9);
      return udp(fromAnywhere(random, port), message, [
        [2, 6],
        [18, 8],
      ]);
    },
  },
  openvpn_reset_plain: {
    port: OPENVPN,
    // The same to a server without tls-crypt: opcode, session, no acknowledgements, packet id 0.
    build: ({ random, port }) => {
      const message = new Uint8Array(14);
      message.set([0x38, ...random.bytes(8)]);
      return udp(fromAnywhere(random, port), message, [[2, 6]]);
    },
  },
  openvpn_data: {
    port: OPENVPN,
    // P_DATA_V2 with a guessed peer id: they are small integers.
    build: ({ random, port, recorded }) => {
      const message = random.bytes(random.between(84, 1400));
      message.set(overheard(random, recorded)?.subarray(0, 4) ?? [0x48, 0, 0, random.below(64)]);
      return udp(fromAnywhere(random, port), message, [[4, 12]]);
    },
  },
  ike_sa_init: { port: IKE, build: (target) => ike(target, initRequest(target.random), 8) },
  // As if of a handshake that the server had begun: random SPIs of both sides.
  ike_auth: { port: IKE, build: (target) => ike(target, authRequest(target.random), 16) },
  ipsec_data: {
    port: NAT_T,
    build: ({ random, port }) => {
      const packet = espPacket(random);
      return udp(fromAnywhere(random, port), packet, [
        [2, 2],
        [packet.length - 8, 8],
      ]);
    },
  },
  replayed: {
    port: WIREGUARD,
    build: ({ random, port, recorded }) => {
      const known = overheard(random, recorded) ?? Uint8Array.of(4, 0, 0, 0, ...random.bytes(108));
      return udp(fromAnywhere(random, port), known);
    },
  },

  dns_amplification: reflected(53, answers.dns, [[0, 2]]),
  ntp_amplification: reflected(123, answers.ntp, [[24, 4]]),
  snmp_amplification: reflected(161, answers.snmp),
  memcached_amplification: reflected(11211, answers.memcached, [[0, 2]]),
  cldap_amplification: reflected(389, answers.cldap),
  chargen_amplification: reflected(19, answers.chargen),
  wsd_amplification: reflected(3702, answers.wsd),
  coap_amplification: reflected(5683, answers.coap, [[2, 2]]),
  ike_amplification: reflected(500, answers.ike, [[0, 16]]),
  openvpn_amplification: reflected(1194, answers.openvpn, [[2, 6]]),
  ssdp_amplification: {
    port: WIREGUARD,
    // In captures of such attacks only about a quarter of the answers come from 1900.
    build: ({ random, port }) => {
      const known = random.below(100) < 28;
      return udp({ from: known ? 1900 : random.between(1024, 65_535), to: port, vary: !known }, answers.ssdp(random));
    },
  },

  syn: { port: 443, build: (target) => tcp(tcpHeader(target, TCP.syn)) },
  syn_options: {
    port: 443,
    // MSS, selective acknowledgement, timestamps, window scale: what a real client sends.
    build: (target) => {
      const stamp = target.random.bytes(4);
      const options = [2, 4, 5, 0xb4, 4, 2, 8, 10, ...stamp, 0, 0, 0, 0, 1, 3, 3, 7];
      return tcp(tcpHeader(target, TCP.syn), Uint8Array.from(options));
    },
  },
  syn_ack: {
    port: 443,
    build: (target) => {
      const from = target.random.pick([80, 443, 22, 8080, 179, 3389]);
      return tcp({ ...tcpHeader(target, TCP.syn | TCP.ack), from, vary: false }, Uint8Array.of(2, 4, 5, 0xb4));
    },
  },
  ack: {
    port: 443,
    build: (target) => {
      const payload = target.random.below(4) === 0 ? target.random.bytes(target.random.between(1, 1200)) : undefined;
      return tcp(tcpHeader(target, TCP.ack), undefined, payload);
    },
  },
  rst: { port: 443, build: (target) => tcp({ ...tcpHeader(target, TCP.rst), acknowledgement: 0, window: 0 }) },

  icmp_echo: {
    port: 0,
    build: ({ family, random }) => icmpEcho(family, random.bytes(random.pick([32, 56, 56, 512, 1400]))),
  },
  gre: {
    port: 0,
    // No options, an IPv4 packet with UDP inside (RFC 2784); UDP without a checksum, so that its payload may change.
    build: ({ random }) => {
      const { checksumAt: _, ...inner } = udp(
        fromAnywhere(random, random.between(1, 65_535)),
        random.bytes(random.between(16, 600)),
      );
      inner.bytes.fill(0, 6, 8);
      const packet = toPacket(inner, random.bytes(4), random.bytes(4), random);
      return {
        protocol: PROTOCOL.gre,
        bytes: Uint8Array.of(0, 0, 8, 0, ...packet.bytes),
        vary: [[32, 8]],
      };
    },
  },
  esp: {
    port: 0,
    build: ({ random }) => ({
      protocol: PROTOCOL.esp,
      bytes: random.bytes(4 * random.between(14, 340)),
      vary: [[0, 8]],
    }),
  },
  ah: {
    port: 0,
    // Around ESP; index and sequence 0, as floods of it are seen in the wild (RFC 4302 reserves index 0).
    build: ({ random }) => {
      const bytes = random.bytes(24 + random.between(8, 400));
      bytes.set([PROTOCOL.esp, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
      return { protocol: PROTOCOL.ah, bytes, vary: [[12, 12]] };
    },
  },
} satisfies Record<string, Attack>;

export type AttackName = keyof typeof attacks;
export const ATTACK_NAMES = Object.keys(attacks) as [AttackName, ...AttackName[]];

function overheard(random: Random, [first, ...others]: string[] = []): Uint8Array | undefined {
  return first ? Buffer.from(random.pick([first, ...others]), "base64") : undefined;
}

const fromAnywhere = (random: Random, port: number) => ({ from: random.between(1024, 65_535), to: port, vary: true });

function reflected(from: number, answer: (random: Random) => Uint8Array, vary: Segment["vary"] = []): Attack {
  return { port: WIREGUARD, build: ({ random, port }) => udp({ from, to: port }, answer(random), vary) };
}

function tcpHeader({ random, port }: Target, flags: number) {
  return {
    from: random.between(1024, 65_535),
    to: port,
    flags,
    sequence: random.u32(),
    acknowledgement: flags & TCP.ack ? random.u32() : 0,
    window: random.pick([512, 8192, 14_600, 29_200, 64_240, 65_535]),
    vary: true,
  };
}

/** A WireGuard initiation with random contents and no cookie (mac2 zero). */
function initiation(random: Random): Uint8Array {
  const message = random.bytes(148);
  message.set([1, 0, 0, 0]);
  message.fill(0, 132);
  return message;
}

function mac1Key(serverPublicKey: string | undefined): Uint8Array {
  const key = Buffer.from(serverPublicKey ?? "", "base64");
  if (key.length !== 32) throw new Error("wireguard_initiation_valid_mac1 needs the server's public key (base64)");
  return blake2s(Buffer.concat([Buffer.from("mac1----"), key]));
}

/** Pieces that never make a whole: one in eight begins a datagram, the others come from its middle. */
function udpFragment({ random, port }: Target): Segment {
  const first = random.below(8) === 0;
  const fragment = {
    offset: first ? 0 : random.between(1, 180),
    more: first || random.below(2) === 0,
    id: random.u32() & 0xffff,
  };
  const bytes = random.bytes(8 * random.between(4, 180));
  if (first) new DataView(bytes.buffer).setUint16(2, port);
  return { protocol: PROTOCOL.udp, bytes, vary: [[8, 8]], fragment };
}

/** An IKE message as its port wants it: on 4500 a marker tells it from ESP (RFC 3948). The first `spis` bytes are another's each time. */
function ike({ random, port }: Target, message: Uint8Array, spis: number): Segment {
  const marker = port === NAT_T ? [0, 0, 0, 0] : [];
  const payload = Uint8Array.from([...marker, ...message]);
  return udp(fromAnywhere(random, port), payload, [
    [marker.length, spis],
    [payload.length - 32, 8],
  ]);
}
