import fc from "fast-check";
import { expect, test } from "vitest";
import { bytes, udp } from "../test/craft.ts";
import { LINK, parseAddress, readPacket } from "./packet.ts";
import { pcapHead, readPcap } from "./pcap.ts";
import { PacketRing, RingReader } from "./ring.ts";

const FOREVER = Number.POSITIVE_INFINITY;
const ALL = 1e9;
const pair = { from: parseAddress("192.0.2.1")!, to: parseAddress("198.51.100.7")! };
/** A datagram that tells by its source port which one it is. */
const packet = (n: number, payload = bytes("secret words of somebody")) =>
  udp({ ...pair, sport: n, dport: 2, payload });
const put = (ring: PacketRing, at: number, n: number, payloadBytes = 0) =>
  ring.put(at, packet(n), 0, packet(n).length, false, payloadBytes);
const opened = (records: Uint8Array) => [...readPcap(bytes(pcapHead(LINK.raw, 128, "micro"), records))];
const ports = (records: Uint8Array) => opened(records).map((record) => readPacket(record.bytes, LINK.raw)!.sourcePort);

test("what goes in comes out as a pcap: times to the microsecond, lengths on the wire, headers and no more", () => {
  const ring = new PacketRing(8, 128);
  put(ring, 1_700_000_000_123.456, 1);
  put(ring, 1_700_000_000_124, 2, 6);
  const [first, second] = opened(new RingReader([ring], 0).read(FOREVER, ALL).bytes);
  expect(first).toMatchObject({ linkType: LINK.raw, wireLength: packet(1).length });
  expect(first!.at).toBeCloseTo(1_700_000_000_123.456, 3);
  expect(first!.bytes).toEqual(packet(1).subarray(0, 28));
  expect(new TextDecoder().decode(second!.bytes.subarray(28))).toBe("secret");
});

test("a sample that was cut has its length from its header, and the snap length bounds what is kept", () => {
  const ring = new PacketRing(4, 64);
  const long = packet(1, new Uint8Array(1_000));
  ring.put(5, bytes([1, 2, 3], long.subarray(0, 128)), 3, 131, true, 64);
  const [record] = opened(new RingReader([ring], 0).read(FOREVER, ALL).bytes);
  expect(record).toMatchObject({ wireLength: 1_028, bytes: long.subarray(0, 64) });
});

test("what is no packet is not kept", () => {
  const ring = new PacketRing(4, 64);
  ring.put(5, bytes(0xff, new Uint8Array(50)), 0, 51, false, 16);
  expect([ring.oldest, ring.next]).toEqual([0, 0]);
});

test("the newest packets stay, whatever came before", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(60), (slots, packets) => {
      const ring = new PacketRing(slots, 128);
      for (let n = 0; n < packets; n++) put(ring, n, n);
      const newest = Array.from({ length: Math.min(slots, packets) }, (_, n) => packets - Math.min(slots, packets) + n);
      expect(ports(new RingReader([ring], 0).read(FOREVER, ALL).bytes)).toEqual(newest);
    }),
  );
});

test("several rings are read by time, each packet once, however the reading is cut up", () => {
  const times = fc.array(fc.nat(1_000), { maxLength: 40 }).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(times, times, fc.array(fc.nat(1_100), { maxLength: 5 }), fc.nat(8), (one, two, stops, limit) => {
      const rings = [new PacketRing(64, 64), new PacketRing(64, 64)];
      for (const [n, at] of one.entries()) put(rings[0]!, at, n);
      for (const [n, at] of two.entries()) put(rings[1]!, at, 100 + n);
      const reader = new RingReader(rings, 0);
      const read = [
        ...stops.sort((a, b) => a - b).map((until) => reader.read(until, limit)),
        reader.read(FOREVER, ALL),
      ];
      const records = read.flatMap((batch) => opened(batch.bytes));
      expect(records.map(({ at }) => at)).toEqual([...one, ...two].sort((a, b) => a - b));
      expect(read.reduce((sum, batch) => sum + batch.packets, 0)).toBe(one.length + two.length);
      expect(reader.missed).toBe(0);
      expect(reader.read(FOREVER, ALL)).toMatchObject({ packets: 0, firstAt: undefined });
    }),
  );
});

test("a reader begins where it is told to, waits for what is younger, and counts what it missed", () => {
  const ring = new PacketRing(4, 64);
  for (const at of [1, 2, 3]) put(ring, at, at);
  const reader = new RingReader([ring], 2);
  expect(reader.read(3, ALL)).toMatchObject({ packets: 1, firstAt: 2 });
  for (const at of [4, 5, 6, 7, 8]) put(ring, at, at);
  expect(ports(reader.read(FOREVER, ALL).bytes)).toEqual([5, 6, 7, 8]);
  expect(reader.missed).toBe(2);
});

test("what another CPU hands over late is put where it belongs, each packet once, whoever reads meanwhile", () => {
  const delays = fc.array(fc.record({ at: fc.nat(3_000), late: fc.nat(400) }), { maxLength: 80 });
  fc.assert(
    fc.property(delays, fc.integer({ min: 1, max: 100 }), fc.nat(5), (packets, slots, readEvery) => {
      const ring = new PacketRing(slots, 64);
      const reader = new RingReader([ring], 0);
      const read: Uint8Array[] = [];
      const arrivals = packets
        .map(({ at, late }, n) => ({ at, n, arrives: at + late }))
        .sort((a, b) => a.arrives - b.arrives);
      for (const [index, { at, n, arrives }] of arrivals.entries()) {
        put(ring, at, n);
        if (readEvery > 0 && index % readEvery === 0) read.push(reader.read(arrives - 400, ALL).bytes);
      }
      read.push(reader.read(FOREVER, ALL).bytes);
      const records = read.flatMap(opened);
      const times = records.map(({ at }) => at);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(times.length + reader.missed).toBe(packets.length);
      expect(new Set(read.flatMap(ports)).size).toBe(times.length);
    }),
  );
});

test("a clock that was set back moves nothing", () => {
  const ring = new PacketRing(4, 64);
  for (const [n, at] of [10_000, 10_001, 2, 3, 4].entries()) put(ring, at, n);
  expect(ports(new RingReader([ring], 0).read(FOREVER, ALL).bytes)).toEqual([1, 2, 3, 4]);
});
