import type { LaneId } from "@flowtriq/protocol/lane";
import { VpnPort } from "@flowtriq/protocol/lane";
import { describe, expect, test } from "vitest";
import { bytes, tcp, udp } from "../test/craft.ts";
import { Summary } from "./features.ts";
import { grouped } from "./groups.ts";
import type { Kind } from "./kinds.ts";
import { LINK, readPacket } from "./packet.ts";

const ports = [VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" })];
const host = 0xc0000201;
const [SYN, RST, ACK] = [0x02, 0x04, 0x10];

const stranger = (n: number) => ({ from: 0x2d000000 + n * 7919, to: host });
const segment = (n: number, flags: number) =>
  tcp({ ...stranger(n), sport: 443, dport: 40_000 + n, flags, seq: n * 7919 });
const junk = (n: number) => udp({ ...stranger(n), sport: 2_000 + n, dport: 51820, payload: bytes([0xff, n, n ^ 9]) });

/** So many samples of each, handed up by a lane; `counted`: what the lanes' counters say came. */
function seen(
  parts: [lane: LaneId, samples: number, make: (n: number) => Uint8Array][],
  counted?: Map<LaneId, number>,
) {
  const summary = new Summary({ ports });
  for (const [lane, samples, make] of parts) {
    for (let n = 0; n < samples; n++) summary.add(readPacket(make(n), LINK.raw)!, n, lane);
  }
  summary.counted = counted;
  return grouped(summary);
}

const packetsOf = (groups: ReturnType<typeof grouped>) =>
  Object.fromEntries([...groups].map(([kind, { packets }]) => [kind, Math.round(packets)] as [Kind, number]));

describe("what samples stand for", () => {
  const two = [
    ["udp:51820:malformed", 40, junk],
    ["host:syn", 40, (n: number) => segment(n, SYN)],
  ] as Parameters<typeof seen>[0];

  test("is what their lanes have counted: a lane of few hands up as many samples as one of many", () => {
    const counted = new Map<LaneId, number>([
      ["udp:51820:malformed", 100_000],
      ["host:syn", 60],
    ]);
    expect(packetsOf(seen(two, counted))).toEqual({ udp: 100_000, syn: 60 });
  });

  test("is themselves, where nobody counted or the counter is behind", () => {
    expect(packetsOf(seen(two))).toEqual({ udp: 40, syn: 40 });
    expect(packetsOf(seen(two, new Map([["host:syn", 3]])))).toEqual({ udp: 40, syn: 40 });
  });
});

describe("what accompanies an attack is counted to it", () => {
  const refused = (answers: number, refusals: number) =>
    packetsOf(
      seen([
        ["host:synack", answers, (n) => segment(n, SYN | ACK)],
        ["host:rst", refusals, (n) => segment(n, RST | ACK)],
      ]),
    );

  test("refusals of those that were asked in the host's name are of the same reflection", () => {
    expect(refused(40, 20)).toEqual({ synack: 60 });
  });

  test("but a flood of them, beside a few answers, is one of its own", () => {
    expect(refused(10, 50)).toEqual({ synack: 10, rst: 50 });
  });
});
