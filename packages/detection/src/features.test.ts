import { Profile } from "@flowtriq/protocol/event";
import { VpnPort } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import { attacks } from "../test/attacks.ts";
import { bytes, icmp, tcp, udp } from "../test/craft.ts";
import { ordinary } from "../test/ordinary.ts";
import { type Event, Script, World } from "../test/world.ts";
import { type SampleContext, Summary, summarizeCapture, toProfile } from "./features.ts";
import { Flows, inferHost } from "./flows.ts";
import { LINK, parseAddress, readPacket, TCP } from "./packet.ts";

const ports = [VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" })];
const context: SampleContext = { ports };
const [host, peer, other] = ["203.0.113.9", "198.51.100.7", "192.0.2.1"].map((text) => parseAddress(text)!) as [
  number,
  number,
  number,
];
const read = (packet: Uint8Array) => readPacket(packet, LINK.raw)!;

/** What a generator of the test suite writes, in order of time. */
function events(write: (world: World, script: Script) => void, seed = 5): { world: World; events: Event[] } {
  const world = new World(seed, "held-out");
  const script = new Script(200);
  write(world, script);
  return { world, events: script.events.sort((a, b) => a.at - b.at) };
}

test("a million packets leave a bounded picture that still counts them all", () => {
  const summary = new Summary(context);
  for (let i = 0; i < 1_000_000; i += 1) {
    if (i % 50 === 0) {
      const from = (Math.imul(i, 0x9e3779b1) >>> 0) % 0xdf000000;
      summary.add(read(udp({ from, to: host, sport: i & 0xffff, dport: 51820, payload: bytes("junk") })), i);
    } else summary.add(SAME, i);
  }
  expect(summary.samples).toBe(1_000_000);
  expect(summary.total("udp")).toBe(1_000_000);
  expect(summary.kept.length).toBeLessThanOrEqual(1024);
  expect(summary.kept.length).toBeGreaterThan(256);
  expect(summary.sources.size).toBeLessThanOrEqual(2048);
  expect(summary.distinctSources).toBeGreaterThan(15_000);
  expect(summary.distinctSources).toBeLessThan(25_000);
  // What is kept stands for all of the time, not for its beginning.
  expect(summary.kept.filter(({ at }) => at > 500_000).length / summary.kept.length).toBeGreaterThan(0.3);
  expect(Profile.parse(toProfile(summary)).sources[0]!.share).toBeGreaterThan(0.9);
});
const SAME = read(udp({ from: peer, to: host, sport: 9, dport: 51820, payload: bytes("same") }));

test("sources drawn at random are made up, reflectors are not", () => {
  const random = new World(7, "held-out");
  const flood = new Summary(context);
  const answers = new Summary(context);
  const answer = bytes([1, 2, 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0, 3], "isc", [3], "org", [0, 0, 255, 0, 1]);
  for (let i = 0; i < 300; i++) {
    const from = random.int(0, 0xffffffff);
    flood.add(read(tcp({ from, to: host, ttl: 241, sport: 1000 + i, dport: 80, flags: TCP.syn })), i);
    answers.add(read(udp({ from, to: host, ttl: 241, sport: 53, dport: 80, payload: answer })), i);
  }
  expect(toProfile(flood).spoofed).toBe("yes");
  expect(toProfile(answers).spoofed).toBe("no");
});

test("a tunnel's sources are not made up, and a handful of packets does not say", () => {
  const { world, events: written } = events((w, script) => ordinary.gameServer!(w, script, 2000, 0, 10_000));
  const packets = written.map(({ at, packet }) => ({ at, packet }));
  expect(toProfile(summarizeCapture(packets, { ports: world.ports })).spoofed).toBe("no");
  const few = new Summary(context);
  few.add(SAME, 0);
  expect(toProfile(few)).toMatchObject({ spoofed: "unknown", samples: 1, distinctSources: 1 });
});

test("lanes of proved peers are counted and not suspected", () => {
  const summary = new Summary(context);
  summary.add(SAME, 0, "udp:51820:data");
  summary.add(SAME, 1, "udp:51820:malformed");
  expect([summary.samples, summary.explained, summary.total("udp")]).toEqual([2, 1, 1]);
});

const names = ["wireguardServer", "openvpn", "webServer", "dnsServer", "gameServer", "ntpServer", "flashCrowd"];
test.each(names)("the host of a server's capture is the server: %s", (name) => {
  const { world, events: written } = events((w, script) => ordinary[name]!(w, script, 600, 0, 10_000));
  expect(
    inferHost(
      written.map(({ packet }) => packet),
      world.ports,
    ),
  ).toBe(world.host);
});

test.each(Object.keys(attacks) as (keyof typeof attacks)[])("the host of an attack is its victim: %s", (name) => {
  const { world, events: written } = events((w, script) => {
    attacks[name](w, script, 300, 0, 1000);
    // A VPN session of the victim's own, as a client, must not turn the picture round.
    ordinary.wireguardClient!(w, script, 200, 0, 1000);
  });
  expect(
    inferHost(
      written.map(({ packet }) => packet),
      world.ports,
    ),
  ).toBe(world.host);
});

test("a flood over many addresses has no host", () => {
  const packets = Array.from({ length: 100 }, (_, i) =>
    read(udp({ from: peer + i, to: host + i, sport: 1, dport: 2, payload: bytes() })),
  );
  expect(inferHost(packets)).toBeUndefined();
});

const segment = (from: number, to: number, flags: number, seq = 1, ack = 0) =>
  read(tcp({ from, to, sport: from === peer ? 4000 : 443, dport: from === peer ? 443 : 4000, flags, seq, ack }));

test("an unfinished opening is not explained by our answer, a finished one is", () => {
  const flows = new Flows();
  const syn = segment(peer, host, TCP.syn);
  const synAck = segment(host, peer, TCP.syn | TCP.ack, 9, 2);
  for (const packet of [syn, synAck]) flows.note(packet);
  expect(flows.explains(syn)).toBe(false);
  flows.note(segment(peer, host, TCP.ack, 2, 10));
  expect(flows.explains(syn)).toBe(true);
});

test("a SYN-ACK is explained by our SYN, and by nothing else", () => {
  const flows = new Flows();
  const answer = read(tcp({ from: peer, to: host, sport: 443, dport: 4000, flags: TCP.syn | TCP.ack }));
  flows.note(answer);
  flows.note(read(tcp({ from: host, to: peer, sport: 4000, dport: 443, flags: TCP.rst })));
  expect(flows.explains(answer)).toBe(false);
  flows.note(read(tcp({ from: host, to: peer, sport: 4000, dport: 443, flags: TCP.syn })));
  expect(flows.explains(answer)).toBe(true);
});

test("an ICMP error is explained by the packet that it quotes", () => {
  const flows = new Flows();
  const sent = udp({ from: host, to: peer, sport: 500, dport: 9, payload: bytes("x") });
  const error = (quoted: Uint8Array) => read(icmp({ from: other, to: host, type: 3, code: 1, payload: quoted }));
  expect(flows.explains(error(sent))).toBe(false);
  flows.note(read(sent));
  expect(flows.explains(error(sent))).toBe(true);
  expect(flows.explains(error(udp({ from: host, to: other, sport: 1, dport: 2, payload: bytes() })))).toBe(false);
});

test("what a VPN server answers to anybody explains nothing", () => {
  const flows = new Flows();
  const reset = read(udp({ from: peer, to: host, sport: 4000, dport: 1194, payload: bytes(0x38, new Uint8Array(13)) }));
  flows.note(reset);
  flows.note(read(udp({ from: host, to: peer, sport: 1194, dport: 4000, payload: bytes(0x40, new Uint8Array(25)) })));
  expect(flows.explains(reset)).toBe(false);
  flows.note(read(udp({ from: host, to: peer, sport: 1194, dport: 4000, payload: bytes(0x20, new Uint8Array(99)) })));
  expect(flows.explains(reset)).toBe(true);
});
