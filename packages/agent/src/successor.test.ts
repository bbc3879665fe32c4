import type { Attack } from "@flowtriq/detection/detect";
import { VpnPort } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import type { OpenAttacks } from "./state.ts";
import { inherit } from "./successor.ts";

const NOW = Date.parse("2026-11-25T12:00:00.000Z");
const ports = [VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" })];
const attack = (id: string, lane: Attack["lanes"][number]): Attack => ({
  id,
  target: "udp:51820",
  lanes: [lane],
  verdict: "udp_flood",
  confidence: 1,
  evidence: [],
  firstPacketAt: NOW,
  trippedAt: NOW,
  startedAt: NOW,
  lastSeenAt: NOW,
  thresholdPps: 1,
  pps: 1,
  bps: 1,
  passedPps: 1,
  peakPps: 1,
  peakBps: 1,
  packets: 10,
  droppedPackets: 4,
  tunnelsBefore: 3,
  tunnelsLowest: 2,
  tunnels: 3,
  classified: true,
});
const left = (fields: Partial<OpenAttacks>): OpenAttacks => ({
  at: NOW,
  attacks: [],
  withdrawn: [],
  stoodDown: false,
  events: [],
  ...fields,
});
const ids = (attacks: Attack[]) => attacks.map(({ id }) => id);

test("attacks whose rules stand go on, and those whose rules are gone are told to be over", () => {
  const attacks = [attack("atk_standing00", "udp:51820:malformed"), attack("atk_gone000000", "udp:51820:unissued")];
  const { adopted, news } = inherit(left({ attacks }), ["udp:51820:malformed"], { ports, conntrack: false }, NOW);
  expect(ids(adopted)).toEqual(["atk_standing00"]);
  expect(news.map((event) => [event.event, "attack" in event && event.attack])).toEqual([
    ["mitigation.removed", "atk_gone000000"],
    ["attack.ended", "atk_gone000000"],
  ]);
  expect(news[1]).toMatchObject({ passedPackets: 6, usersDisconnected: null });
});

test("an attack that no rule holds up goes on until counting shows that it is over", () => {
  const attacks = [attack("atk_reported00", "tcp:443:data"), attack("atk_withdrawn0", "udp:51820:malformed")];
  const { adopted, withdrawn, news } = inherit(
    left({ attacks, withdrawn: ["atk_withdrawn0"] }),
    [],
    { ports, conntrack: false },
    NOW,
  );
  expect(ids(adopted)).toEqual(["atk_reported00", "atk_withdrawn0"]);
  expect(withdrawn).toEqual(["atk_withdrawn0"]);
  expect(news).toEqual([]);
});

test("after standing down the next start begins anew, and no rule is told to be removed twice", () => {
  const attacks = [attack("atk_withdrawn0", "udp:51820:malformed")];
  const taken = inherit(
    left({ attacks, withdrawn: ["atk_withdrawn0"], stoodDown: true }),
    [],
    { ports, conntrack: false },
    NOW,
  );
  expect(taken.adopted).toEqual([]);
  expect(taken.withdrawn).toEqual([]);
  expect(taken.news.map(({ event }) => event)).toEqual(["attack.ended"]);
});

test("without a predecessor there is nothing to inherit", () => {
  expect(inherit(undefined, [], { ports, conntrack: false }, NOW)).toEqual({ adopted: [], withdrawn: [], news: [] });
});
