import type { LaneId } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import type { LaneCount } from "./detect.ts";
import { Finishing } from "./finishing.ts";

const START = 1_700_000_000_000;
const lane = (finished: number): LaneCount => ({ packets: 0, bytes: 0, dropped: 0, droppedBytes: 0, finished });
const counts = (wireguard: number, openvpn = 0) =>
  new Map<LaneId, LaneCount>([
    ["udp:51820:handshake", lane(wireguard)],
    ["udp:1194:handshake", lane(openvpn)],
    ["host:udp", lane(0)],
  ]);

/** Readings every 100 ms from `from` to `to` seconds, at `perSecond` handshakes on both ports together. */
function read(
  finishing: Finishing,
  from: number,
  to: number,
  total: number,
  perSecond: number,
  attacks: string[] = [],
) {
  for (let n = from * 10 + 1; n <= to * 10; n++) {
    const finished = total + (perSecond * (n - from * 10)) / 10;
    const at = START + n * 100;
    finishing.count(
      at,
      counts(finished / 2, finished / 2),
      attacks.map((id) => ({ id, lastSeenAt: at })),
    );
  }
  return total + perSecond * (to - from);
}

test("the rates before and during an attack are those of all ports", () => {
  const finishing = new Finishing();
  let total = read(finishing, 0, 100, 0, 4);
  finishing.begin("a", START + 100_000);
  total = read(finishing, 100, 130, total, 1, ["a"]);
  // The quiet time until it is said to be over does not count.
  read(finishing, 130, 150, total, 50);
  const { before, during } = finishing.end("a");
  expect(before).toBeCloseTo(4, 1);
  expect(during).toBeCloseTo(1, 1);
});

test("what was watched too briefly, or not from its beginning, is not said", () => {
  const finishing = new Finishing();
  finishing.begin("early", START);
  read(finishing, 0, 3, 0, 4);
  finishing.begin("a", START + 3_000);
  read(finishing, 3, 5, 12, 4, ["a"]);
  const { before, during } = finishing.end("a");
  expect(before).toBeNull();
  expect(during).toBeCloseTo(4, 1);
  expect(finishing.end("early")).toEqual({ before: null, during: null });
  expect(finishing.end("unknown")).toEqual({ before: null, during: null });
});

test("counters that begin anew are not compared with the old ones", () => {
  const finishing = new Finishing();
  read(finishing, 0, 20, 0, 4);
  finishing.begin("a", START + 20_000);
  read(finishing, 20, 30, 0, 4, ["a"]);
  expect(finishing.end("a")).toEqual({ before: null, during: null });
  finishing.begin("b", START + 30_000);
  read(finishing, 30, 40, 40, 2, ["b"]);
  const { before, during } = finishing.end("b");
  expect(before).toBeCloseTo(4, 1);
  expect(during).toBeCloseTo(2, 1);
});
