import { blake2s } from "@noble/hashes/blake2.js";
import type { Mac1Key } from "../../src/mac1.ts";
import { be16, be32, bytes, udp } from "../craft.ts";
import type { Dice, From, Tool } from "./dice.ts";

/** The server whose public key everybody has who is its client. */
export const SERVER_KEY = new Uint8Array(32).map((_, i) => i * 5 + 1);

const towards =
  (
    port: number | ((dice: Dice) => number),
    message: (dice: Dice) => (n: number) => Uint8Array,
    fixedPort?: number,
  ): Tool["write"] =>
  (dice, { host, sender }) => {
    const [to, fill] = [typeof port === "number" ? port : port(dice), message(dice)];
    return (n) => udp({ ...sender(), to: host, sport: fixedPort ?? dice.high(), dport: to, payload: fill(n) });
  };
const tool = (
  vector: Tool["vector"],
  name: string,
  from: From,
  write: Tool["write"],
  options: Partial<Tool> = {},
): Tool => ({
  ...{ vector, name, from, write },
  ...options,
});

const initiation = (dice: Dice) => bytes([1, 0, 0, 0], dice.bytes(144));
export const signed = (message: Uint8Array, { key }: Mac1Key): Uint8Array => {
  const copy = Uint8Array.from(message);
  copy.set(blake2s(copy.subarray(0, 116), { key, dkLen: 16 }), 116);
  return copy.fill(0, 132);
};

const wireguard: Tool[] = [
  tool(
    "wireguard_handshake_flood",
    "initiations with a random mac",
    "anywhere",
    towards(51820, (d) => () => initiation(d)),
  ),
  tool(
    "wireguard_handshake_flood",
    "the same from one machine",
    "one",
    towards(51820, (d) => () => initiation(d)),
  ),
  tool(
    "wireguard_handshake_flood",
    "one initiation again and again",
    [20, 600],
    towards(51820, (d) => {
      const one = initiation(d);
      return () => one;
    }),
  ),
  tool(
    "wireguard_handshake_flood",
    "zeros behind the type",
    "anywhere",
    towards(51820, (d) => () => bytes([1, 0, 0, 0], d.bytes(d.of([4], [36, 8])), new Uint8Array(144)).subarray(0, 148)),
  ),
  tool(
    "wireguard_handshake_flood",
    "responses",
    "anywhere",
    towards(51820, (d) => () => bytes([2, 0, 0, 0], d.bytes(88))),
  ),
  tool(
    "wireguard_data_flood",
    "random indices",
    "anywhere",
    towards(51820, (d) => {
      const size = d.of([80, 1452], [32, 96, 176, 1000]);
      return () => bytes([4, 0, 0, 0], d.bytes(4), be32(0), be32(0), d.bytes(size - 16));
    }),
  ),
  tool(
    "wireguard_data_flood",
    "any length, any counter",
    [40, 500],
    towards(51820, (d) => () => bytes([4, 0, 0, 0], d.bytes(12), d.bytes(d.between(16, d.of([400], [1400]))))),
  ),
  tool(
    "wireguard_data_flood",
    "one index and a counter",
    "one",
    towards(
      51820,
      (d) => {
        const index = d.bytes(4);
        return (n) =>
          bytes([4, 0, 0, 0], index, [n & 255, (n >> 8) & 255, 0, 0], be32(0), d.bytes(d.of([112], [64, 1436])));
      },
      40_000,
    ),
  ),
  tool(
    "wireguard_data_flood",
    "one packet again and again",
    "anywhere",
    towards(51820, (d) => {
      const one = bytes([4, 0, 0, 0], d.bytes(d.of([76], [140, 1020])));
      return () => one;
    }),
  ),
  tool(
    "wireguard_data_flood",
    "letters behind the type",
    "one",
    towards(51820, (d) => {
      const one = bytes([4, 0, 0, 0], "A".repeat(d.of([200], [60, 1000])));
      return () => one;
    }),
  ),
  tool(
    "wireguard_data_flood",
    "guessed indices",
    [3, 40],
    towards(
      51820,
      (d) => (n) => bytes([4, 0, 0, 0], [(n * d.of([1], [3])) & 255, (n >> 8) & 255, 0, 0], d.bytes(8), d.bytes(64)),
    ),
  ),
];

/** ssl_pkt.h: a client's hard reset, plain or with what tls-auth and tls-crypt put before its content. */
const reset = (dice: Dice) => {
  const style = dice.of(["plain", "crypt"], ["sha1", "sha512", "v3", "crypt"]);
  const [session, fixed] = [dice.bytes(8), dice.chance(0.15)];
  return () => {
    const own = fixed ? session : dice.bytes(8);
    const time = be32(0x66000000 + dice.between(0, 1e6));
    if (style === "plain") return bytes([0x38], own, [0], be32(0));
    if (style === "crypt") return bytes([0x38], own, be32(1), time, dice.bytes(37));
    if (style === "v3") return bytes([0x50], own, be32(0x0f000001), time, dice.bytes(dice.between(300, 340)));
    return bytes([0x38], own, dice.bytes(style === "sha1" ? 20 : 64), be32(1), time, [0], be32(0));
  };
};

/** OpenVPN answers the first hundred of ten seconds (mudp.c). */
const resetBack: Tool["reply"] = (dice) => {
  let answered = 0;
  return ({ source, sourcePort, destination, destinationPort }, n) => {
    if (n % 1000 === 0) answered = 0;
    if (answered++ >= 100) return undefined;
    const payload = bytes([0x40], dice.bytes(8), [1], be32(0), dice.bytes(8), be32(0));
    return udp({ from: destination, to: source, sport: destinationPort, dport: sourcePort, payload });
  };
};
const responseBack: Tool["reply"] =
  (dice) =>
  ({ source, sourcePort, destination, destinationPort, payload: asked }) => {
    const payload = bytes(
      asked.subarray(0, 8),
      dice.bytes(8),
      [33, 0x20, 34, 0x20],
      be32(0),
      be32(300),
      dice.bytes(272),
    );
    return udp({ from: destination, to: source, sport: destinationPort, dport: sourcePort, payload });
  };
const openvpn: Tool[] = [
  tool("openvpn_handshake_flood", "resets from anywhere", "anywhere", towards(1194, reset), { reply: resetBack }),
  tool("openvpn_handshake_flood", "resets of bots", [30, 800], towards(1194, reset), { reply: resetBack }),
  tool("openvpn_handshake_flood", "resets of one machine", "one", towards(1194, reset), { reply: resetBack }),
  tool(
    "openvpn_data_flood",
    "second data version, guessed peers",
    "anywhere",
    towards(1194, (d) => {
      const size = d.of([100, 1400], [60, 300, 800]);
      return () => bytes([0x48, 0, 0, d.between(0, 120)], be32(d.u32()), d.bytes(size));
    }),
  ),
  tool(
    "openvpn_data_flood",
    "first data version",
    [40, 700],
    towards(1194, (d) => {
      const key = d.of([0], [1, 2, 5]);
      return () => bytes([0x30 | key], d.bytes(d.of([200], [80, 1000])));
    }),
  ),
  tool(
    "openvpn_data_flood",
    "one captured packet",
    "anywhere",
    towards(1194, (d) => {
      const one = bytes([0x48 | d.of([0], [1]), 0, 0, d.between(0, 9)], d.bytes(d.of([132], [400, 1200])));
      return () => one;
    }),
  ),
  tool(
    "openvpn_data_flood",
    "one machine, a counter",
    "one",
    towards(1194, (d) => (n) => bytes([0x48, 0, 0, 1], be32(n + 1), d.bytes(d.of([96], [500]))), 50_000),
  ),
];

const opening = (dice: Dice) => {
  const v1 = dice.of([false], [false, true]);
  const size = dice.of([240, 400], [28, 316, 464, 560, 168]);
  const marker = dice.of([0], [0, 4]);
  const message = () => {
    const head = v1 ? [1, 0x10, dice.any([2, 4]), 0] : [33, 0x20, 34, 8];
    const offer = [0, 0, 0, 44, 0, 0, 0, 40, 1, 1, 0, 4];
    return bytes(dice.bytes(8), new Uint8Array(8), head, be32(0), be32(size), offer, dice.bytes(size)).subarray(
      0,
      size,
    );
  };
  return { port: marker === 0 ? 500 : 4500, message: () => bytes(new Uint8Array(marker), message()) };
};
const ikeTowards =
  (fixedPort?: number): Tool["write"] =>
  (dice, ends) => {
    const { port, message } = opening(dice);
    return towards(port, () => message, fixedPort)(dice, ends);
  };

const ipsec: Tool[] = [
  tool("ike_handshake_flood", "first messages from anywhere", "anywhere", ikeTowards(), { reply: responseBack }),
  tool("ike_handshake_flood", "first messages of bots", [40, 800], ikeTowards(500), { reply: responseBack }),
  tool("ike_handshake_flood", "first messages of one machine", "one", ikeTowards(), { reply: responseBack }),
  tool(
    "ike_handshake_flood",
    "junk of later messages",
    "anywhere",
    towards(500, (d) => {
      const size = d.of([300], [76, 1200]);
      return () => bytes(d.bytes(16), [46, 0x20, d.of([35], [35, 37]), 8], be32(1), be32(size), d.bytes(size - 28));
    }),
  ),
  tool(
    "esp_flood",
    "ESP in UDP, random sessions",
    "anywhere",
    towards(4500, (d) => {
      const size = d.of([100], [60, 1000]);
      return () => bytes(be32(d.u32() | 0x1000), be32(d.u32()), d.bytes(size));
    }),
  ),
  tool(
    "esp_flood",
    "ESP in UDP, one session of one machine",
    "one",
    towards(
      4500,
      (d) => {
        const spi = be32(d.u32() | 0x100);
        return () => bytes(spi, be16(0), be16(d.of([1], [7])), d.bytes(d.of([100], [400])));
      },
      4500,
    ),
  ),
];

/** Openings far below any flood's rate, at a server that can finish none of them, but answers as far as it may. */
const SLOW: Partial<Tool> = { pps: [40, 250], seconds: 14 };
const firstMessages = towards(500, (dice) => () => {
  const size = dice.of([240], [316, 464]);
  return bytes(dice.bytes(8), new Uint8Array(8), [33, 0x20, 34, 8], be32(0), be32(size), dice.bytes(size - 28));
});

const trickles: Tool[] = [
  tool("handshake_starvation", "resets", "anywhere", towards(1194, reset), { ...SLOW, reply: resetBack }),
  tool("handshake_starvation", "resets of bots", [80, 600], towards(1194, reset), { ...SLOW, reply: resetBack }),
  tool("handshake_starvation", "first messages", "anywhere", firstMessages, { ...SLOW, reply: responseBack }),
];

export const vpn: readonly Tool[] = [...wireguard, ...openvpn, ...ipsec, ...trickles];
