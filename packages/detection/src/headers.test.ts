import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytes, icmp, ip, tcp, udp } from "../test/craft.ts";
import { headerLength, lengthOnWire } from "./headers.ts";
import { LINK, PROTOCOL, parseAddress, readPacket } from "./packet.ts";

const payload = bytes("what people say to each other");
const PAIRS = [
  [4, { from: parseAddress("192.0.2.1")!, to: parseAddress("198.51.100.7")! }],
  [6, { from: parseAddress("2001:db8::1")!, to: parseAddress("2001:db8::2")! }],
] as const;

describe.each(PAIRS)("IPv%i", (family, pair) => {
  const ipHeader = family === 4 ? 20 : 40;
  const fragment = family === 4 ? 20 : 48;
  test.each([
    ["UDP", udp({ ...pair, sport: 1, dport: 2, payload }), ipHeader + 8],
    ["TCP", tcp({ ...pair, sport: 1, dport: 2, flags: 2, payload }), ipHeader + 20],
    [
      "TCP with options",
      tcp({ ...pair, sport: 1, dport: 2, flags: 2, options: new Uint8Array(40), payload }),
      ipHeader + 60,
    ],
    ["ICMP", icmp({ ...pair, type: 8, payload }), ipHeader + 8],
    ["ESP", ip(pair, PROTOCOL.esp, payload), ipHeader + 8],
    ["an unknown protocol", ip(pair, 253, payload), ipHeader],
    ["a first fragment", udp({ ...pair, sport: 1, dport: 2, payload, moreFragments: true }), fragment + 8],
    ["a later fragment", ip({ ...pair, fragmentOffset: 64 }, PROTOCOL.udp, payload), fragment],
  ])("the headers of %s end where its payload begins", (_, packet, length) => {
    expect(headerLength(packet, 0, packet.length)).toBe(length);
    // The same wherever it lies in a larger buffer.
    const within = bytes(new Uint8Array(7), packet, [0xff, 0xff]);
    expect(headerLength(within, 7, 7 + packet.length)).toBe(length);
  });

  test("a cut packet has the length that its header says, a whole one no more than what came", () => {
    const packet = udp({ ...pair, sport: 1, dport: 2, payload });
    expect(lengthOnWire(packet, 0, ipHeader + 8, true)).toBe(packet.length);
    expect(lengthOnWire(bytes(packet, new Uint8Array(6)), 0, packet.length + 6, false)).toBe(packet.length);
    const boasting = packet.slice();
    boasting.set([0xff, 0xff], family === 4 ? 2 : 4);
    expect(lengthOnWire(boasting, 0, boasting.length, false)).toBe(packet.length);
  });
});

test.each([bytes(), bytes(0x45), bytes(0x60), bytes(0x00, new Uint8Array(60)), bytes(0x45, new Uint8Array(18))])(
  "%j is no packet",
  (packet) => expect(headerLength(packet, 0, packet.length)).toBe(0),
);

test("on any bytes the headers end where the packet reader finds the payload", () => {
  const first = fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x6f);
  fc.assert(
    fc.property(first, fc.uint8Array({ minLength: 60, maxLength: 128 }), (version, rest) => {
      const packet = bytes(version, rest.subarray(1));
      const read = readPacket(packet, LINK.raw);
      const length = headerLength(packet, 0, packet.length);
      expect(length).toBeGreaterThan(0);
      expect(lengthOnWire(packet, 0, packet.length, true)).toBeGreaterThanOrEqual(packet.length);
      if (read?.transport && read.payload.length > 0) {
        expect(length).toBe(read.payload.byteOffset - packet.byteOffset);
      }
    }),
    { numRuns: 2_000 },
  );
});
