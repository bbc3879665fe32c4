import { VpnPort } from "@flowtriq/protocol/lane";
import type { Vector } from "@flowtriq/protocol/vector";
import { expect, test } from "vitest";
import { be32, bytes, icmp, tcp, udp } from "../test/craft.ts";
import { World } from "../test/world.ts";
import { classify } from "./classify.ts";
import { summarizeCapture } from "./features.ts";
import { LINK, parseAddress, readPacket, TCP } from "./packet.ts";

/** What well-known tools send, and what only looks like it: 2,000 steps of 0.1 ms each. */
type Step = (i: number, at: number, send: (packet: Uint8Array) => void) => void;

const ports = (
  [
    [51820, "wireguard"],
    [1194, "openvpn"],
    [500, "ike"],
    [4500, "ipsec_nat_t"],
  ] as const
).map(([port, protocol]) => VpnPort.parse({ port, protocol, transport: "udp" }));
const [a, b] = ["192.168.1.5", "192.168.1.10"].map((text) => parseAddress(text)!) as [number, number];
const world = new World(99, "training");
const machines = Array.from({ length: 2000 }, () => {
  let address = world.client();
  while (typeof address !== "number") address = world.client();
  return address;
});
const anywhere = () => world.int(0, 0xffffffff);
const number = () => world.int(0, 2 ** 32 - 1);
const one = { from: a, to: b };

function verdictOn(step: Step): Vector | null {
  const packets = Array.from({ length: 2000 }, (_, i) => {
    const at = 1_700_000_000_000 + i * 0.1;
    const sent: { at: number; packet: NonNullable<ReturnType<typeof readPacket>> }[] = [];
    step(i, at, (packet) => sent.push({ at, packet: readPacket(packet.subarray(0, 200), LINK.raw, packet.length)! }));
    return sent;
  }).flat();
  return classify(summarizeCapture(packets, { ports })).vector;
}

const text = bytes("A".repeat(120));
const isc = bytes([0, 1, 0, 20, 0, 0, 0, 0, 3], "isc", [3], "org", [0, 0, 255, 0, 1]);
const floods: [name: string, vector: Vector, step: Step][] = [
  [
    "hping SYN from one address, answered and reset",
    "syn_flood",
    (i, _, send) => {
      send(tcp({ ...one, sport: 1000 + i, dport: 80, flags: TCP.syn, window: 512, seq: number() }));
      send(tcp({ from: b, to: a, sport: 80, dport: 1000 + i, flags: TCP.syn | TCP.ack }));
      send(tcp({ ...one, sport: 1000 + i, dport: 80, flags: TCP.rst }));
    },
  ],
  [
    "hping SYN from random addresses, answered",
    "syn_flood",
    (i, _, send) => {
      const from = anywhere();
      send(tcp({ from, to: b, sport: 1000 + i, dport: 80, flags: TCP.syn, window: 512 }));
      send(tcp({ from: b, to: from, sport: 80, dport: 1000 + i, flags: TCP.syn | TCP.ack }));
    },
  ],
  [
    "hping UDP, empty",
    "udp_flood",
    (i, _, send) => send(udp({ ...one, sport: 1000 + i, dport: 53, payload: bytes() })),
  ],
  ["hping UDP, filled", "udp_flood", (i, _, send) => send(udp({ ...one, sport: 1000 + i, dport: 80, payload: text }))],
  ["one socket, one text", "udp_flood", (_, __, send) => send(udp({ ...one, sport: 4000, dport: 80, payload: text }))],
  [
    "one socket, random ports and content",
    "udp_flood",
    (_, __, send) => send(udp({ ...one, sport: 4000, dport: world.int(1, 65_535), payload: world.bytes(1000) })),
  ],
  [
    "the Source engine's query from bots",
    "udp_flood",
    (i, _, send) => {
      const payload = bytes([255, 255, 255, 255], "TSource Engine Query", 0);
      send(udp({ from: machines[i % 40]!, to: b, sport: world.port(), dport: 27015, payload }));
    },
  ],
  [
    "ping -f, answered",
    "icmp_flood",
    (_, __, send) => {
      const payload = world.bytes(56);
      send(icmp({ ...one, type: 8, payload }));
      send(icmp({ from: b, to: a, type: 0, payload }));
    },
  ],
  [
    "echo replies of a whole network",
    "icmp_flood",
    (i, _, send) => send(icmp({ from: machines[i % 60]!, to: b, type: 0, payload: world.bytes(56) })),
  ],
  [
    "port unreachables that quote nothing of ours",
    "icmp_flood",
    (_, __, send) => {
      const payload = udp({ from: b, to: a, sport: world.port(), dport: 53, payload: bytes() });
      send(icmp({ ...one, type: 3, code: 3, payload }));
    },
  ],
  [
    "hping ACK, answered with RST",
    "ack_flood",
    (i, _, send) => {
      send(tcp({ ...one, sport: 1000 + i, dport: 80, flags: TCP.ack, window: 512, seq: number(), ack: number() }));
      send(tcp({ from: b, to: a, sport: 80, dport: 1000 + i, flags: TCP.rst }));
    },
  ],
  ["hping Xmas", "tcp_flood", (i, _, send) => send(tcp({ ...one, sport: 1000 + i, dport: 80, flags: 0x29 }))],
  [
    "RST from random addresses",
    "rst_flood",
    (i, _, send) => send(tcp({ from: anywhere(), to: b, sport: 1000 + i, dport: 80, flags: TCP.rst, window: 512 })),
  ],
  [
    "IKE answers to a gateway's own port",
    "ike_amplification",
    (i, _, send) => {
      const payload = bytes(world.bytes(16), [41, 0x20, 34, 0x20], be32(0), be32(36), world.bytes(8));
      send(udp({ from: machines[i % 900]!, to: b, sport: 500, dport: 500, payload }));
    },
  ],
  [
    "memcached from three servers",
    "memcached_amplification",
    (i, _, send) => {
      const payload = bytes([0, 0, 1, i & 127, 3, 0, 0, 0], world.bytes(1392));
      send(udp({ from: machines[i % 3]!, to: b, sport: 11211, dport: 80, payload }));
    },
  ],
  [
    "DNS answers from one forger",
    "dns_amplification",
    (_, __, send) => {
      const payload = bytes(world.bytes(2), [0x81, 0x80], isc, world.bytes(600));
      send(udp({ from: machines[0]!, to: b, sport: 53, dport: world.port(), payload }));
    },
  ],
];
test.each(floods)("%s is a %s", (_, vector, step) => expect(verdictOn(step)).toBe(vector));

const harmless: [name: string, step: Step][] = [
  [
    "masscan over many addresses",
    (i, _, send) =>
      send(tcp({ from: a, to: machines[i]!, sport: 61000, dport: 80, flags: TCP.syn, window: 1024, seq: number() })),
  ],
  [
    "the logs of two hundred hosts",
    (i, _, send) =>
      send(udp({ from: a + (i % 200), to: b, sport: 514, dport: 514, payload: bytes(`<${10 + (i % 99)}>app: ${i}`) })),
  ],
  [
    "three routers' flow records",
    (i, _, send) =>
      send(udp({ from: a + (i % 3), to: b, sport: 5000, dport: 2055, payload: bytes([0, 9, 0, 20], be32(i), text) })),
  ],
  [
    "a distributed hash table's pings",
    (i, _, send) => {
      const payload = bytes("d1:ad2:id20:", world.bytes(20), "e1:q4:ping1:t2:aa1:y1:qe");
      send(udp({ from: machines[i % 800]!, to: b, sport: 6881 + (i % 800), dport: 51413, payload }));
    },
  ],
  [
    "uploads of forty connections, of which the answers were not captured",
    (i, _, send) => {
      const round = Math.floor(i / 40);
      const options = bytes([1, 1, 8, 10], be32(i), be32(i));
      const segment = { sport: 3000 + (i % 40), dport: 9001, flags: 0x18, seq: 1000 + round * 500, ack: 77 + round };
      send(tcp({ from: machines[i % 40]!, to: b, ...segment, options, payload: text }));
    },
  ],
  [
    "a speed test",
    (i, at, send) =>
      send(udp({ ...one, sport: 40_000, dport: 5201, payload: bytes(be32(i), be32(at % 2 ** 32), world.bytes(1400)) })),
  ],
];
test.each(harmless)("%s: no attack", (_, step) => expect(verdictOn(step)).toBeNull());
