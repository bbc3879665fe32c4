import { type LaneId, vpnLane } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { blake2s } from "@noble/hashes/blake2.js";
import { beforeEach, expect, test } from "vitest";
import { Baselines } from "./baseline.ts";
import { type Change, Detector, type LaneCount } from "./detect.ts";
import { mac1Key } from "./mac1.ts";
import { LINK, readPacket } from "./packet.ts";

const wireguard = { port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" } as const;
const malformed = vpnLane(wireguard, "malformed");
const unissued = vpnLane(wireguard, "unissued");
const data = vpnLane(wireguard, "data");
const handshake = vpnLane(wireguard, "handshake");
const serverKey = mac1Key(new Uint8Array(32).fill(9));

let detector: Detector;
let counts: Map<LaneId, LaneCount>;
let now: number;

beforeEach(() => {
  let ids = 0;
  detector = new Detector({
    ports: [wireguard],
    policy: Policy.parse({ quietSeconds: 20 }),
    baselines: new Baselines(),
    samples: { ports: [wireguard], mac1Keys: new Map([[51820, serverKey]]) },
    newId: () => `atk_test${String(++ids).padStart(8, "0")}`,
  });
  const nothing = () => ({ packets: 0, bytes: 0, dropped: 0, droppedBytes: 0, finished: 0 });
  counts = new Map([malformed, unissued, data, handshake].map((lane) => [lane, nothing()]));
  now = 1_000_000;
  detector.count(now, snapshot(), 5);
});

const snapshot = () => new Map([...counts].map(([lane, count]) => [lane, { ...count }]));

/** Lets traffic flow at these rates, read every `stepMs`. */
function flow(
  seconds: number,
  rates: Partial<Record<LaneId, number>>,
  { stepMs = 1000, bytes = 500, tunnels = 5, droppedShare = 0, finishedShare = 0 } = {},
): Change[] {
  const changes: Change[] = [];
  for (const end = now + seconds * 1000; now < end; ) {
    now += stepMs;
    for (const [lane, pps] of Object.entries(rates) as [LaneId, number][]) {
      const count = counts.get(lane) ?? { packets: 0, bytes: 0, dropped: 0, droppedBytes: 0, finished: 0 };
      const packets = (pps * stepMs) / 1000;
      count.packets += packets;
      count.bytes += packets * bytes;
      count.dropped += packets * droppedShare;
      if (lane === handshake) count.finished += packets * finishedShare;
      counts.set(lane, count);
    }
    changes.push(...detector.count(now, snapshot(), tunnels));
  }
  return changes;
}

/** A UDP packet to 51820 with this payload, from a source of its own unless told. */
function packet(n: number, payload: number[], source = n) {
  const bytes = new Uint8Array(28 + 64);
  bytes.set([
    0x45,
    0,
    0,
    92,
    0,
    0,
    0,
    0,
    30 + (n % 200),
    17,
    0,
    0,
    198,
    18 + (source >> 16),
    source >> 8,
    source,
    192,
    0,
    2,
    1,
  ]);
  bytes.set([0x10 + (n % 100), n, 0xca, 0x6c, 0, 72, 0, 0], 20);
  for (let at = 28; at < bytes.length; at++) bytes[at] = (n * 73 + at * 31) & 255;
  bytes.set(payload, 28);
  return readPacket(bytes, LINK.raw)!;
}
const junk = (n: number) => packet(n * 7919, [0xa0 + (n % 64), n, n * 3, n * 5]);
const dataOf = (n: number, index: number, source = n) =>
  packet(n, [4, 0, 0, 0, index >> 24, index >> 16, index >> 8, index], source);

function sampled(lane: LaneId, number: number, make: (n: number) => ReturnType<typeof junk>): Change[] {
  return Array.from({ length: number }, (_, n) => detector.sample(now + n * 0.1, lane, make(n))).flat();
}

test("junk from many senders is an attack within a dozen samples", () => {
  const changes = sampled(malformed, 12, junk);
  expect(changes).toHaveLength(1);
  expect(changes[0]).toMatchObject({ kind: "started", attack: { lanes: [malformed], tunnelsBefore: 5 } });
});

test("fewer samples than that are no attack", () => {
  expect(sampled(malformed, 11, junk)).toEqual([]);
});

test("one session that is older than the agent is left alone at 5,000 packets a second", () => {
  expect(sampled(unissued, 64, (n) => dataOf(n, 0x01020304, 7))).toEqual([]);
  expect(flow(10, { [unissued]: 5_000 })).toEqual([]);
});

test("one session's index at 200,000 packets a second is an attack", () => {
  sampled(unissued, 64, (n) => dataOf(n, 0x01020304, 7));
  const [started] = flow(1, { [unissued]: 200_000 }, { stepMs: 100 });
  expect(started).toMatchObject({ kind: "started", attack: { verdict: "wireguard_data_flood" } });
});

test("data of live tunnels is never an attack, however much it grows", () => {
  flow(600, { [data]: 10_000 });
  expect(flow(60, { [data]: 400_000 })).toEqual([]);
});

test("an attack ends only after it has been quiet for as long as the policy says, and tells what it was", () => {
  sampled(malformed, 12, junk);
  flow(10, { [malformed]: 100_000 }, { stepMs: 100, droppedShare: 0.999 });
  expect(flow(19, {}, { stepMs: 100 }).filter(({ kind }) => kind === "ended")).toEqual([]);
  const [ended] = flow(2, {}, { stepMs: 100 }).filter(({ kind }) => kind === "ended");
  expect(ended?.attack).toMatchObject({
    peakPps: 100_000,
    packets: 1_000_000,
    droppedPackets: 999_000,
    tunnelsLowest: 5,
  });
});

test("pulses of 30 s with pauses of 15 s stay one attack", () => {
  sampled(malformed, 12, junk);
  const changes: Change[] = [];
  for (let pulse = 0; pulse < 4; pulse++) {
    changes.push(...flow(30, { [malformed]: 50_000 }, { stepMs: 100 }), ...flow(15, {}, { stepMs: 100 }));
  }
  expect(changes.filter(({ kind }) => kind === "started" || kind === "ended")).toEqual([]);
  expect(detector.attacks).toHaveLength(1);
});

test("what passes is counted after the drop", () => {
  sampled(malformed, 12, junk);
  flow(1, { [malformed]: 200_000 }, { stepMs: 100, droppedShare: 0.9995 });
  expect(detector.attacks[0]).toMatchObject({ pps: 200_000, passedPps: 100 });
});

test("tunnels lost during an attack are remembered when they have come back", () => {
  sampled(malformed, 12, junk);
  flow(2, { [malformed]: 100_000 }, { stepMs: 100, tunnels: 2 });
  const ended = flow(25, {}, { stepMs: 100 }).find(({ kind }) => kind === "ended");
  expect(ended?.attack).toMatchObject({ tunnelsBefore: 5, tunnelsLowest: 2, tunnels: 5 });
});

test("the first packet is dated from the rate that was measured after the trip", () => {
  flow(1, {});
  // 2,000 packets had come by the reading at the trip, at 200,000 a second: it began 10 ms before.
  const began = now;
  now += 10;
  counts.set(malformed, { packets: 2_000, bytes: 1e6, dropped: 0, droppedBytes: 0, finished: 0 });
  sampled(malformed, 1, junk);
  detector.count(now, snapshot(), 5);
  sampled(malformed, 12, junk);
  flow(0.1, { [malformed]: 200_000 }, { stepMs: 20 });
  expect(detector.attacks[0]!.firstPacketAt).toBeCloseTo(began, 0);
});

test("an attack does not teach that it is normal", () => {
  flow(600, { [malformed]: 10 });
  const before = detector.threshold(malformed).pps;
  sampled(malformed, 12, junk);
  flow(600, { [malformed]: 50_000 }, { stepMs: 100 });
  flow(30, {}, { stepMs: 100 });
  expect(detector.threshold(malformed).pps).toBe(before);
});

test("a threshold set by hand replaces floor and baseline", () => {
  detector.policy = Policy.parse({ thresholdsPps: { [malformed]: 77 } });
  expect(detector.threshold(malformed).pps).toBe(77);
});

test("few but large packets on a lane of strangers are an attack by their bits", () => {
  const changes = flow(3, { [malformed]: 900 }, { bytes: 9_000 });
  expect(changes[0]).toMatchObject({ kind: "started", attack: { lanes: [malformed], bps: 64_800_000 } });
});

test("counters that ran backwards belong to a new table and are no traffic", () => {
  flow(5, { [data]: 1_000 });
  counts.set(data, { packets: 3, bytes: 300, dropped: 0, droppedBytes: 0, finished: 0 });
  flow(1, {});
  expect(detector.rates.has(data)).toBe(false);
});

/** An initiation from a source of its own, made by somebody who knows the server's public key. */
function initiation(n: number) {
  const payload = new Uint8Array(148).map((_, at) => (n * 151 + at * 89 + ((n * at) >> 3)) & 255);
  payload.set([1, 0, 0, 0]);
  payload.set(blake2s(payload.subarray(0, 116), { key: serverKey.key, dkLen: 16 }), 116);
  const bytes = new Uint8Array(28 + 148);
  const source = Math.imul(n + 1, 0x9e3779b1) >>> 0;
  const address = [20 + (source >>> 25), source >>> 16, source >>> 8, source];
  bytes.set([0x45, 0, 0, 176, 0, 0, 0, 0, 40 + (n % 80), 17, 0, 0, ...address, 192, 0, 2, 1]);
  bytes.set([0x40 + (n % 100), n, 0xca, 0x6c, 0, 156, 0, 0], 20);
  bytes.set(payload, 28);
  return readPacket(bytes, LINK.raw)!;
}

test.each([
  ["2,000 a second", 2_000, 0.5, 100],
  ["100,000 a second, at once", 100_000, 0.04, 20],
])("valid handshakes that the server cannot finish are a flood: %s", (_, pps, seconds, stepMs) => {
  sampled(handshake, 64, initiation);
  const [started] = flow(seconds, { [handshake]: pps }, { stepMs });
  expect(started).toMatchObject({ kind: "started", attack: { verdict: "wireguard_handshake_flood" } });
  expect(started?.attack.evidence.join()).toMatch(/the server finished 0 of/);
});

test.each([0.3, 0.9])(
  "a crowd that comes back is none, while the server finishes %d of its handshakes",
  (finishedShare) => {
    sampled(handshake, 64, initiation);
    expect(flow(10, { [handshake]: 2_400 }, { stepMs: 100, finishedShare })).toEqual([]);
    expect(detector.attacks).toEqual([]);
  },
);
