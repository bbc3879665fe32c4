import assert from "node:assert/strict";
import { Baselines } from "@flowtriq/detection/baseline";
import { classify } from "@flowtriq/detection/classify";
import { type Change, Detector, type LaneCount } from "@flowtriq/detection/detect";
import { Summary, summarizeCapture, toProfile } from "@flowtriq/detection/features";
import { LearnedState, laneOf } from "@flowtriq/detection/lanes";
import { mac1Key } from "@flowtriq/detection/mac1";
import { addressText, LINK, type Packet, parseAddress, readPacket } from "@flowtriq/detection/packet";
import { PcapError, readPcap } from "@flowtriq/detection/pcap";
import { createRandom, type Random } from "@flowtriq/lab/random";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { type PlannedAttack, plan } from "@flowtriq/mitigation/plan";
import { AgentEvent } from "@flowtriq/protocol/event";
import { type LaneId, VPN_PROTOCOLS, VpnPort } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { TrafficVerdict } from "@flowtriq/protocol/vector";
import { eventsOf } from "../../src/events.ts";
import { mutated, recordings } from "./material.ts";

const LINKS = Object.values(LINK) as [number, ...number[]];
/** As many different kinds of port as there are, on the ports of the recordings. */
const PORTS = VPN_PROTOCOLS.map((protocol, index) =>
  VpnPort.parse({
    port: [51820, 1194, 500, 4500, 5555, 1701, 443, 9999][index],
    transport: "udp",
    protocol,
    strictness: index % 2 === 0 ? "auto" : "lenient",
  }),
);
const CONTEXT = { ports: PORTS, conntrack: false };
const LANES = new Set<LaneId>(lanesOf(PORTS));
const POLICY = Policy.parse({ mode: "enforce", thresholdsPps: { "udp:51820:data": 1, "host:udp": 1 } });

/**
 * Random and mutated packets through everything that looks at packets. Throws at the first broken promise. One detector, one
 * learned state, for all of them: what grows with what an attacker sends shows in the heap.
 */
export class PacketFuzz {
  readonly #random: Random;
  readonly #real: { bytes: Uint8Array; linkType: number }[];
  readonly #learned = new LearnedState(PORTS);
  readonly #detector: Detector;
  readonly #mac1Keys = new Map([[51820, mac1Key(new Uint8Array(32).fill(9))]]);
  readonly #counts = new Map<LaneId, LaneCount>();
  #summary: Summary;
  #at = 1_700_000_000_000;
  #attacks = 0;
  /** Those that were read as packets, and attacks that they made the detector see. */
  readonly seen = { packets: 0, attacks: 0, classified: 0 };

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.#real = recordings().flatMap((file) => [...readPcap(file)]);
    const samples = { ports: PORTS, mac1Keys: this.#mac1Keys };
    this.#summary = new Summary(samples);
    this.#detector = new Detector({
      ...{ ports: PORTS, policy: POLICY, baselines: new Baselines(), samples },
      newId: () => `atk_fuzz${String(++this.#attacks).padStart(8, "0")}`,
    });
  }

  run(cases: number): void {
    for (let number = 1; number <= cases; number++) {
      this.#one();
      if (number % 97 === 0) this.#read();
      if (number % 1_009 === 0) this.#classify();
    }
  }

  #one(): void {
    const random = this.#random;
    const real = this.#real[random.below(this.#real.length)]!;
    const linkType = random.below(4) === 0 ? random.pick(LINKS) : real.linkType;
    const bytes =
      random.below(10) === 0
        ? random.bytes(random.below(200))
        : mutated(real.bytes, random, [this.#real[random.below(this.#real.length)]!.bytes]);
    const packet = readPacket(bytes, linkType, random.below(8) === 0 ? random.below(70_000) : bytes.length);
    if (!packet) return;
    this.seen.packets++;
    whole(packet, bytes.length);
    this.#at += random.below(20) / 10;
    this.#learned.advance(this.#at);
    if (random.below(4) === 0) this.#learned.learn(packet, this.#at);
    const lane = laneOf(packet, { ports: PORTS, learned: this.#learned });
    assert(lane === undefined || LANES.has(lane), `no such lane: ${lane}`);
    this.#summary.add(packet, this.#at, random.below(2) === 0 ? lane : undefined);
    if (lane) this.#follow(this.#detector.sample(this.#at, lane, packet));
  }

  /** A reading of counters that may go backwards, as after a reload. */
  #read(): void {
    const random = this.#random;
    for (const lane of LANES) {
      if (random.below(4) === 0) this.#counts.delete(lane);
      const before = this.#counts.get(lane)?.packets ?? 0;
      const packets = random.below(50) === 0 ? 0 : before + random.below(random.below(10) === 0 ? 1_000_000 : 100);
      const dropped = random.below(packets + 1);
      const finished = random.below(packets + 1);
      this.#counts.set(lane, { packets, bytes: packets * 100, dropped, droppedBytes: dropped * 100, finished });
    }
    this.#at += random.below(300);
    const tunnels = random.below(3) === 0 ? null : random.below(1_000);
    this.#follow(this.#detector.count(this.#at, new Map(this.#counts), tunnels));
    for (const lane of LANES) {
      const { pps, bps, bell } = this.#detector.threshold(lane);
      assert(
        [pps, bps, bell.pps, bell.burst].every((value) => Number.isSafeInteger(value) && value > 0),
        `threshold of ${lane}`,
      );
    }
  }

  #classify(): void {
    const { vector, confidence } = classify(this.#summary);
    assert(vector === null || TrafficVerdict.safeParse(vector).success, `no vector: ${vector}`);
    assert(confidence >= 0 && confidence <= 1, `confidence ${confidence}`);
    toProfile(this.#summary);
    this.seen.classified++;
    this.#summary = new Summary({ ports: PORTS, mac1Keys: this.#mac1Keys });
  }

  /** Every change becomes rules and events as in the agent, and the events keep the contract. */
  #follow(changes: Change[]): void {
    for (const change of changes) {
      this.seen.attacks++;
      const planned = (withdrawn: boolean): PlannedAttack[] =>
        this.#detector.attacks.map(({ id, verdict, lanes }) => ({ id, verdict, lanes, withdrawn }));
      const plans = {
        before: plan(POLICY, planned(true), CONTEXT),
        now: plan(POLICY, planned(false), CONTEXT),
        appliedAt: this.#at,
      };
      for (const event of eventsOf(change, plans, () => [])) {
        const parsed = AgentEvent.safeParse({ ...event, id: "evt_fuzz00000001" });
        assert(parsed.success, `${change.kind}: ${parsed.error?.message} in ${JSON.stringify(event).slice(0, 400)}`);
      }
    }
  }
}

function whole(packet: Packet, captured: number): void {
  for (const [key, value] of Object.entries(packet)) {
    if (typeof value === "number") assert(Number.isSafeInteger(value) && value >= 0, `${key} is ${value}`);
  }
  assert(packet.payload.length <= captured, "payload beyond the packet");
  for (const address of [packet.source, packet.destination])
    assert.equal(parseAddress(addressText(address)), address, "an address that does not read back");
}

/** Mutated capture files: read whole, or refused with the reader's own error. */
export function fuzzCaptures(seed: number, cases: number): { read: number; refused: number } {
  const random = createRandom(seed);
  const files = recordings();
  const seen = { read: 0, refused: 0 };
  for (let number = 0; number < cases; number++) {
    const file = asPcapng(files[random.below(files.length)]!, random);
    const bytes = mutated(file, random, files);
    try {
      const packets: { at: number; packet: Packet }[] = [];
      for (const { at, linkType, bytes: record, wireLength } of readPcap(bytes)) {
        assert(record.length <= bytes.length && wireLength >= record.length, "a record beyond the file");
        const packet = readPacket(record, linkType, wireLength);
        if (packet) packets.push({ at, packet });
      }
      if (number % 16 === 0) classify(summarizeCapture(packets, { ports: PORTS }));
      seen.read++;
    } catch (error) {
      assert(error instanceof PcapError, `${error}`);
      seen.refused++;
    }
  }
  return seen;
}

/** Every second time the same records as pcapng: section, interface, enhanced packets. */
function asPcapng(file: Uint8Array, random: Random): Uint8Array {
  if (random.below(2) === 0) return file;
  const blocks: Uint8Array[] = [
    block(
      0x0a0d0d0a,
      (view) => {
        view.setUint32(0, 0x1a2b3c4d, true);
        view.setUint16(4, 1, true);
      },
      16,
    ),
    block(1, (view) => view.setUint16(0, 101, true), 8),
  ];
  for (const { bytes, wireLength } of [...readPcap(file)].slice(0, 20)) {
    const body = (20 + bytes.length + 3) & ~3;
    blocks.push(
      block(
        6,
        (view, data) => {
          view.setUint32(12, bytes.length, true);
          view.setUint32(16, wireLength, true);
          data.set(bytes, 20);
        },
        body,
      ),
    );
  }
  return new Uint8Array(Buffer.concat(blocks));
}

function block(type: number, fill: (view: DataView, data: Uint8Array) => void, body: number): Uint8Array {
  const bytes = new Uint8Array(12 + body);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8 + body, bytes.length, true);
  fill(new DataView(bytes.buffer, 8, body), bytes.subarray(8, 8 + body));
  return bytes;
}
