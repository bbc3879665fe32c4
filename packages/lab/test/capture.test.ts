import { addressText, LINK } from "@flowtriq/detection/packet";
import { writePcap } from "@flowtriq/detection/pcap";
import { VpnPort } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import { paced, sceneOf } from "../src/capture.ts";
import { addressBytes, checksum, toPacket, udp } from "../src/packet.ts";
import { createRandom } from "../src/random.ts";

const random = createRandom(1);
const datagram = (from: string, fromPort: number, to: string, toPort: number) =>
  toPacket(udp({ from: fromPort, to: toPort }, random.bytes(40)), addressBytes(from), addressBytes(to), random).bytes;
const PORTS = [VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" })];
const [HOST, CLIENT, OTHER] = ["198.51.100.1", "203.0.113.5", "203.0.113.6"];

function capture(...packets: [number, Uint8Array][]) {
  const records = packets.map(([at, bytes]) => ({ at, bytes }));
  return sceneOf(writePcap(records, { linkType: LINK.raw }), PORTS);
}
const ways = ({ scenes }: ReturnType<typeof capture>) => scenes.map(({ way }) => way);

test("what the host sends leaves it, what is for it or for all arrives, and the rest is not its own", () => {
  const seen = capture(
    [5, datagram(CLIENT, 40000, HOST, 51820)],
    [6, datagram(HOST, 51820, CLIENT, 40000)],
    [7, datagram(CLIENT, 40000, HOST, 51820)],
    [8, datagram(CLIENT, 5353, "224.0.0.251", 5353)],
    [9, datagram(HOST, 51820, CLIENT, 40000)],
    [10, datagram(OTHER, 7, CLIENT, 8)],
    [11, datagram(HOST, 51820, OTHER, 40000)],
  );
  expect(addressText(seen.host!)).toBe(HOST);
  expect(ways(seen)).toEqual(["in", "out", "in", "in", "out", "out"]);
  expect(seen.left).toEqual({ notIp: 0, otherHosts: 1, unplayable: 0 });
  expect(seen.scenes[0]!.at).toBe(0);
});

test("the ends of a loopback capture are told apart by who speaks first", () => {
  const seen = capture(
    [0, datagram("127.0.0.1", 40000, "127.0.0.1", 1194)],
    [1, datagram("127.0.0.1", 1194, "127.0.0.1", 40000)],
  );
  expect(ways(seen)).toEqual(["in", "out"]);
  expect(addressText(seen.scenes[0]!.packet.source)).toBe("192.0.2.1");
  expect(addressText(seen.scenes[1]!.packet.destination)).toBe("192.0.2.1");
});

test("a cut packet is made whole again, and its header's checksum right", () => {
  const bytes = datagram(CLIENT, 40000, HOST, 51820);
  bytes.fill(0, 10, 12);
  const file = writePcap([{ at: 0, bytes: bytes.subarray(0, 40), wireLength: bytes.length }], { linkType: LINK.raw });
  const [scene] = sceneOf(file, []).scenes;
  expect(scene!.bytes).toHaveLength(bytes.length);
  expect(checksum(scene!.bytes.subarray(0, 20))).toBe(0);
});

test("silences are shortened, and what is still too long is played faster", () => {
  const packets = [0, 10, 100_000, 100_010].map((at) => ({ at, way: "in" as const, bytes: new Uint8Array(20) }));
  const times = (pace: Parameters<typeof paced>[1]) => paced(packets, pace).map(({ at }) => at);
  expect(times({ gapMs: 100, longestMs: 1_000 })).toEqual([0, 10, 110, 120]);
  expect(times({ gapMs: 100, longestMs: 60 })).toEqual([0, 5, 55, 60]);
  expect(times({ gapMs: 100, longestMs: 1_000, speed: 10 })).toEqual([0, 1, 11, 12]);
});
