import { type LaneId, VpnPort } from "@flowtriq/protocol/lane";
import { describe, expect, test } from "vitest";
import { corpus } from "../test/corpora.ts";
import { be32, bytes, udp } from "../test/craft.ts";
import { type Flow, SimulatedNode } from "../test/node.ts";
import type { Pool } from "../test/pools.ts";
import { ordinaryTunnels } from "../test/tunnels.ts";
import { World } from "../test/world.ts";
import { Summary } from "./features.ts";
import { type Address, LINK, readPacket } from "./packet.ts";
import { readPcap } from "./pcap.ts";

const SECOND = 1_000;
const SNAP = 192;
const declared = (strictness: VpnPort["strictness"]) =>
  (
    [
      [51820, "wireguard"],
      [1194, "openvpn"],
      [4500, "ipsec_nat_t"],
    ] as const
  ).map(([port, protocol]) => VpnPort.parse({ port, protocol, transport: "udp", strictness }));
const ports = declared("auto");

type Protocol = "wireguard" | "openvpn" | "ipsec_nat_t";
const PORT = { wireguard: 51820, openvpn: 1194, ipsec_nat_t: 4500 } as const;
const VECTOR = { wireguard: "wireguard_data_flood", openvpn: "openvpn_data_flood", ipsec_nat_t: "esp_flood" } as const;
const PROTOCOLS: Protocol[] = ["wireguard", "openvpn", "ipsec_nat_t"];
const laneOf = (protocol: Protocol): LaneId => `udp:${PORT[protocol]}:data`;

const world = new World(3, "training");
const chance = (most: number) => world.int(0, most - 1);
const host = 0xc0000201;
const home = { from: 0xc6336407, sport: 41_000 };
const le32 = (value: number) => be32(value).reverse();

/** What a session's packets begin with: its name, its number, and content that is another for each number. */
const HEAD: Record<Protocol, (session: number, counter: number) => Uint8Array> = {
  wireguard: (session, counter) =>
    bytes([4, 0, 0, 0], be32(session), le32(counter >>> 0), le32(Math.floor(counter / 2 ** 32))),
  openvpn: (session, counter) => bytes([0x48 | (session >>> 24), ...be32(session & 0xffffff).slice(1)], be32(counter)),
  ipsec_nat_t: (session, counter) => bytes(be32(0xc0000000 + session), be32(counter)),
};

function content(seed: number): Uint8Array {
  const data = new Uint8Array(128);
  for (let at = 0; at < data.length; at++) data[at] = Math.imul(seed + 1, 0x9e3779b1 + at * 0x85ebca6b) >>> 24;
  return data;
}

type Place = { from: Address; sport: number };
function packet(protocol: Protocol, session: number, counter: number, place: Place = home, seed = counter) {
  const raw = udp({
    ...place,
    to: host,
    dport: PORT[protocol],
    payload: bytes(HEAD[protocol](session, counter), content(seed)),
  });
  return readPacket(raw.subarray(0, SNAP), LINK.raw, raw.length)!;
}

/** One session that sends in order from here on. */
const ordered =
  (protocol: Protocol, { session = 5, from = 1_000, place = home } = {}): Pool =>
  (n) =>
    packet(protocol, session, from + n, place);
const anywhere = (): Place => ({ from: world.madeUp(), sport: world.port() });

/** Lets flows of a protocol's known sessions arrive for so long. */
function attacksOf(protocol: Protocol, flows: Omit<Flow, "lane">[], seconds = 5, strictness?: VpnPort["strictness"]) {
  const node = new SimulatedNode({ ports: strictness ? declared(strictness) : ports, tunnels: 5 });
  node.run(1_500);
  node.flows = flows.map((flow) => ({ lane: laneOf(protocol), ...flow }));
  node.run(seconds * SECOND);
  return node;
}

describe.each(PROTOCOLS)("a loud peer is no attack: %s", (protocol) => {
  const genuine: [name: string, flows: () => Omit<Flow, "lane">[], seconds?: number][] = [
    ["a gigabit upload", () => [{ pps: 90_000, bytes: 1_452, packet: ordered(protocol) }]],
    ["a million packets a second, for two minutes", () => [{ pps: 1e6, packet: ordered(protocol) }], 120],
    ...[64, 1_000, 6_000].map((depth): [string, () => Omit<Flow, "lane">[]] => [
      `packets that overtake one another, up to ${depth}`,
      () => [{ pps: 200_000, packet: (n) => packet(protocol, 5, 10_000 + n - chance(depth)) }],
    ]),
    [
      "two tunnels, one of them on two lines of which one is slow",
      () => [
        { pps: 60_000, packet: ordered(protocol, { session: 6, from: 5e6 }) },
        {
          pps: 60_000,
          packet: (n) => packet(protocol, 5, 70_000 + n - (n % 2) * 9_000, n % 2 ? anywhereElse : home),
        },
      ],
    ],
    ["nine packets of ten lost on their way", () => [{ pps: 100_000, packet: (n) => packet(protocol, 5, n * 10) }]],
    ["every packet twice", () => [{ pps: 100_000, packet: (n) => packet(protocol, 5, 1_000 + (n >> 1)) }]],
    [
      "a restart that begins to count anew",
      () => [{ pps: 100_000, packet: (n) => packet(protocol, 5, n < 150_000 ? 3e6 + n : n - 149_999) }],
    ],
    [
      "a new key every second",
      () => [{ pps: 100_000, packet: (n) => packet(protocol, 5 + Math.floor(n / 1e5), 1 + (n % 1e5)) }],
    ],
    [
      "a client that changes its address thrice",
      () => [
        {
          pps: 100_000,
          packet: (n) => packet(protocol, 5, 1_000 + n, { from: home.from + Math.floor(n / 150_000), sport: 41_000 }),
        },
      ],
    ],
    [
      "five hundred clients",
      () => [
        {
          pps: 300_000,
          packet: (n) => {
            const who = Math.imul(n, 0x9e3779b1) >>> 0;
            return packet(protocol, 100 + (who % 500), 1_000 + n, { from: home.from + (who % 500), sport: 41_000 });
          },
        },
      ],
    ],
    ["a burst now and then", () => [{ pps: (at) => (at % 700 < 90 ? 400_000 : 1_000), packet: ordered(protocol) }], 20],
  ];
  test.each(genuine)("%s", (_, flows, seconds) => {
    const node = attacksOf(protocol, flows(), seconds);
    expect(node.readings.alert).toBeGreaterThan(0);
    expect(node.started).toEqual([]);
  });

  test.each(genuine)("at every moment of ten seconds, of one packet in sixteen: %s", (_, flows) => {
    const summary = new Summary({ ports });
    const lane = laneOf(protocol);
    const all = flows().map((flow) => ({ flow, sent: { packets: 0 } }));
    let arrived = 0;
    const most = { share: 0, at: 0 };
    for (let at = 0; at < 10 * SECOND; at++) {
      for (const { flow, sent } of all) {
        const { pps, packet } = flow;
        const came = Math.round((typeof pps === "number" ? pps : pps(at)) / 1_000);
        // A burst of samples, then fifty a second.
        const wanted = at < 20 ? Math.ceil(came / 16 / 4) : at % 20 === 0 ? 1 : 0;
        for (let n = 0; n < wanted; n++) summary.add(packet!(sent.packets + n * 16, at), at, lane);
        sent.packets += came;
        arrived += came;
      }
      if (at % 100 === 0) summary.sequences.note(lane, at, arrived);
      if (at % 300 !== 0) continue;
      const share = summary.sequences.contradictions?.share ?? 0;
      if (share > most.share) Object.assign(most, { share, at });
    }
    expect(summary.samples).toBeGreaterThan(400);
    expect(most.share).toBeLessThan(0.1);
  });

  test("whatever it sends where the protocol is disguised", () => {
    const flow = { pps: 200_000, packet: (n: number) => packet(protocol, 5, 1_000, home, n % 7) };
    expect(attacksOf(protocol, [flow], 5, "lenient").started).toEqual([]);
  });
});
const anywhereElse: Place = { from: 0x08080404, sport: 50_001 };

test("an upload counts in order even across the end of ESP's 32 bits", () => {
  const flow = { pps: 200_000, packet: (n: number) => packet("ipsec_nat_t", 5, (2 ** 32 - 300_000 + n) % 2 ** 32) };
  expect(attacksOf("ipsec_nat_t", [flow]).started).toEqual([]);
});

test.each([
  ["CBC, which hides the packet id", () => chance(2 ** 32)],
  ["keys of an epoch, whose packet id begins alike", () => 0x00010000],
])("an OpenVPN upload with %s is no attack", (_, id) => {
  const flow = { pps: 200_000, packet: (n: number) => packet("openvpn", 5, id(), home, n) };
  expect(attacksOf("openvpn", [flow], 30).started).toEqual([]);
});

const somebody = (protocol: Protocol) => ({ pps: 2_000, packet: ordered(protocol, { session: 9, from: 40_000 }) });
/** The peer that is attacked: it sends a little, and counts on. */
const victim = (protocol: Protocol) => ({ pps: 200, packet: ordered(protocol, { from: 2e6 }) });

describe.each(PROTOCOLS)("what a session cannot have sent is an attack: %s", (protocol) => {
  const floods: [name: string, flow: Pool, words: RegExp][] = [
    ["one packet over and over, from its peer's own address", () => packet(protocol, 5, 1_234), /repeat packets/],
    ["two hundred packets over and over", () => packet(protocol, 5, 1_000 + chance(200)), /repeat|replays/],
    ...(protocol === "openvpn"
      ? []
      : ([
          ["four thousand packets over and over", () => packet(protocol, 5, 1_000 + chance(4_000)), /counter moved by/],
          ["made-up numbers", (n) => packet(protocol, 5, chance(2 ** 32), home, n), /goes on from none before/],
          ["one number on made-up contents", (n) => packet(protocol, 5, 77, home, n), /repeat packets/],
          [
            "a session's index from everywhere",
            (n) => packet(protocol, 5, 1_000 + n, anywhere()),
            /from elsewhere than their peer: .* at \d+ places/,
          ],
        ] as [string, Pool, RegExp][])),
  ];
  test.each(floods)("%s", (_, flood, words) => {
    const node = attacksOf(protocol, [{ pps: 100_000, packet: flood }, victim(protocol), somebody(protocol)]);
    expect(node.started).toHaveLength(1);
    expect(node.attacks[0]).toMatchObject({ lanes: [laneOf(protocol)], verdict: VECTOR[protocol] });
    expect(node.attacks[0]!.confidence).toBeGreaterThan(0.9);
    expect(node.attacks[0]!.evidence.join("\n")).toMatch(words);
    node.flows = node.flows.slice(1);
    node.run(25 * SECOND, 5);
    expect(node.changes.at(-1)?.kind).toBe("ended");
  });
});

test("made-up counters of 64 bits are told by each single packet", () => {
  const flow = {
    pps: 100_000,
    packet: (n: number) => packet("wireguard", n % 900, chance(2 ** 32) * 2 ** 20, anywhere(), n),
  };
  const node = attacksOf("wireguard", [flow]);
  expect(node.attacks[0]?.evidence.join("\n")).toMatch(/no session reaches/);
  expect(node.started[0]!.at - (node.now - 5 * SECOND)).toBeLessThan(400);
});

test("nothing is told of a port whose disguise was found only now", () => {
  const node = new SimulatedNode({ ports, tunnels: 5 });
  node.run(1_500);
  node.flows = [{ lane: laneOf("wireguard"), pps: 100_000, packet: () => packet("wireguard", 5, 1_234) }];
  node.detector.ports = declared("lenient");
  expect(node.run(5 * SECOND).started).toEqual([]);
});

test("a long recording played in a loop is told when it has begun again", () => {
  const flow = { pps: 100_000, packet: (n: number) => packet("wireguard", 5, 1_000 + (n % 60_000)) };
  const node = attacksOf("wireguard", [flow, somebody("wireguard")], 30);
  expect(node.attacks[0]?.evidence.join("\n")).toMatch(/counter moved by|repeat packets/);
});

test("junk beside an OpenVPN client's own packets, which show where it counts", () => {
  const junk = { pps: 60_000, packet: (n: number) => packet("openvpn", 5, chance(2 ** 32), home, n) };
  const own = { pps: 30_000, packet: ordered("openvpn") };
  const node = attacksOf("openvpn", [junk, own]);
  expect(node.attacks[0]?.evidence.join("\n")).toMatch(/goes on from none before/);
});

test("a few replays during a loud upload do not make it an attack, for the rules would hold the upload back", () => {
  const flows = [
    { pps: 150_000, packet: ordered("wireguard", { from: 1e6 }) },
    { pps: 30_000, packet: () => packet("wireguard", 5, 1_234) },
  ];
  expect(attacksOf("wireguard", flows, 10).started).toEqual([]);
});

test("the profile tells made-up sources of a known session's index", () => {
  const flow = {
    pps: 100_000,
    packet: (n: number) => packet("wireguard", 5, n, { from: chance(2 ** 32), sport: 4_000 }),
  };
  const node = attacksOf("wireguard", [flow]);
  expect(node.changes.findLast(({ kind }) => kind === "classified")?.profile.spoofed).not.toBe("no");
});

test("of ordinary tunnels as chance has them, hardly any packet ever seems to contradict its session", () => {
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);
  const most = (seed: number) => {
    let share = 0;
    const summary = new Summary({ ports });
    const protocol = PROTOCOLS[seed % PROTOCOLS.length]!;
    for (const step of ordinaryTunnels(new World(seed, "training"))) {
      if ("session" in step) {
        summary.add(packet(protocol, step.session, step.counter, step.place), step.at, laneOf(protocol));
      } else {
        summary.sequences.note(laneOf(protocol), step.at, step.arrived);
        share = Math.max(share, summary.sequences.contradictions?.share ?? 0);
      }
    }
    return share;
  };
  expect(seeds.filter((seed) => most(seed) > 0.2)).toEqual([]);
});

/** As if every packet to a VPN port had come from a known session, and rung its bell. */
test.runIf(corpus("legit").length > 0).each(corpus("legit"))("no session of $name contradicts itself", ({ file }) => {
  const summary = new Summary({ ports });
  for (const { at, bytes: raw, linkType, wireLength } of readPcap(file())) {
    const packet = readPacket(raw, linkType, wireLength);
    const protocol = PROTOCOLS.find((candidate) => PORT[candidate] === packet?.destinationPort);
    if (!packet || !protocol) continue;
    summary.add(packet, at, laneOf(protocol));
    summary.sequences.note(laneOf(protocol), at, summary.sequences.samples);
  }
  expect(summary.sequences.contradictions).toBeUndefined();
});

test("memory stays bounded, and what is kept is spread over all that came", () => {
  const summary = new Summary({ ports });
  for (let n = 0; n < 10_000; n++) summary.add(packet("wireguard", 5, 7), n, laneOf("wireguard"));
  const found = summary.sequences.contradictions!;
  expect(found.samples.length).toBeLessThanOrEqual(1_024);
  expect(found).toMatchObject({ share: 1, of: 10_000 });
  expect(found.samples.at(-1)!.at).toBeGreaterThan(9_900);
});
