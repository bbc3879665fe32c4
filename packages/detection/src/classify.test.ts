import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { VpnPort } from "@flowtriq/protocol/lane";
import { VECTORS, type Vector } from "@flowtriq/protocol/vector";
import fc from "fast-check";
import { expect, test } from "vitest";
import { corpus } from "../test/corpora.ts";
import { outcomes, score } from "../test/score.ts";
import { classify } from "./classify.ts";
import { type SampleContext, Summary, summarizeCapture } from "./features.ts";
import { LINK, readPacket } from "./packet.ts";
import { readPcap } from "./pcap.ts";

const ports = (
  [
    [51820, "wireguard"],
    [1194, "openvpn"],
    [500, "ike"],
    [4500, "ipsec_nat_t"],
  ] as const
).map(([port, protocol]) => VpnPort.parse({ port, protocol, transport: "udp" }));
const context: SampleContext = { ports };

const packetsOf = (file: Uint8Array) =>
  [...readPcap(file)].flatMap(({ at, bytes, linkType, wireLength }) => {
    const packet = readPacket(bytes, linkType, wireLength);
    return packet ? [{ at, packet }] : [];
  });
const classifyFile = (file: Uint8Array) => classify(summarizeCapture(packetsOf(file), context));

const folder = resolve(import.meta.dirname, "../fixtures");
const fixtures = readdirSync(folder).map((name) => name.replace(".pcap", ""));
const fixture = (name: string) => readFileSync(resolve(folder, `${name}.pcap`));

test("every vector has a fixture", () => {
  expect(VECTORS.filter((vector) => !fixtures.includes(vector))).toEqual([]);
});

test.each(fixtures)("%s is classified as its file name says", (name) => {
  const legitimate = name.startsWith("legitimate") || name === "reconnect_storm";
  const { vector, verdict, confidence, evidence } = classifyFile(fixture(name));
  expect(vector).toBe(legitimate ? null : name);
  if (name === "reconnect_storm") expect(verdict).toBe("reconnect_storm");
  expect(confidence).toBeGreaterThan(0.5);
  expect(evidence.length).toBeGreaterThan(0);
  for (const sentence of evidence) expect(sentence.length).toBeLessThanOrEqual(500);
});

/**
 * Attack captures of the corpus. The fragments of a DNS reflection are its answers' later pieces, so an operator calls it by the
 * service; SYN, ICMP and UDP at about a third each are several vectors.
 */
const expected: [prefix: string, vector: Vector][] = [
  ["amp-dns-rrsig", "dns_amplification"],
  ["amp-snmp", "snmp_amplification"],
  ["amp-ssdp", "ssdp_amplification"],
  ["ipv6-ah-exthdr-flood", "ah_flood"],
  ["mixed-synthetic", "multi_vector"],
  ["tcp-syn-spoofed", "syn_flood"],
  ["tcp-synack-reflection", "syn_ack_reflection"],
];

// Both skipped where the folder of real captures is absent.
test.runIf(corpus("attacks").length > 0).each(corpus("attacks"))("the real attack $name is named", ({ name, file }) => {
  const vector = expected.find(([prefix]) => name.startsWith(prefix))?.[1];
  expect(vector).toBeDefined();
  expect(classifyFile(file()).vector).toBe(vector);
});

test.runIf(corpus("legit").length > 0).each(corpus("legit"))("the real traffic of $name is no attack", ({ file }) => {
  expect(classifyFile(file()).vector).toBeNull();
});

test.runIf(corpus("legit").length > 0).each(corpus("legit"))(
  "the real traffic of $name is no attack when only one direction was captured",
  ({ file }) => {
    const packets = packetsOf(file());
    const received = new Map<unknown, number>();
    for (const { packet } of packets) received.set(packet.destination, (received.get(packet.destination) ?? 0) + 1);
    const [host] = [...received].sort(([, a], [, b]) => b - a)[0]!;
    const inbound = packets.filter(({ packet }) => packet.destination === host);
    expect(classify(summarizeCapture(inbound, context)).vector).toBeNull();
  },
);

test("on generated traffic whose parameters were never fitted, macro-F1 is 0.95 and confidence means what it says", {
  timeout: 120_000,
}, () => {
  const { macroF1, calibrationError, falseAlarms, cases } = score(outcomes("held-out", 400));
  expect(macroF1).toBeGreaterThanOrEqual(0.95);
  expect(calibrationError).toBeLessThanOrEqual(0.03);
  expect(falseAlarms).toBeLessThanOrEqual(cases * 0.02);
});

test("no samples are no attack", () => {
  expect(classify(new Summary(context))).toMatchObject({ vector: null, confidence: 0.5 });
});

test("whatever arrives, a verdict comes back and memory stays bounded", () => {
  const frames = fixtures.flatMap((name) => [...readPcap(fixture(name))].slice(0, 10).map(({ bytes }) => bytes));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(frames.length - 1), fc.nat(60), fc.nat(255), fc.nat(200)), { maxLength: 60 }),
      (edits) => {
        const summary = new Summary(context);
        edits.forEach(([which, at, value, length], i) => {
          const bytes = frames[which]!.slice(0, length);
          if (at > 0 && at < bytes.length) bytes[at] = value;
          const packet = readPacket(bytes, LINK.raw);
          if (packet) summary.add(packet, i, "host:udp");
        });
        const { confidence } = classify(summary);
        expect(confidence).toBeGreaterThan(0);
        expect(confidence).toBeLessThan(1);
      },
    ),
    { numRuns: 200 },
  );
});
