import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { Baselines } from "@flowtriq/detection/baseline";
import type { Attack } from "@flowtriq/detection/detect";
import { expect, test } from "vitest";
import { StateDir } from "./state.ts";

const ATTACK: Attack = {
  ...{ id: "atk_0123456789abcdef", target: "host", lanes: ["host:syn"], verdict: "syn_flood", confidence: 0.9 },
  ...{
    evidence: ["SYN"],
    firstPacketAt: 1,
    trippedAt: 2,
    startedAt: 3,
    lastSeenAt: 4,
    thresholdPps: 5,
    pps: 6,
    bps: 7,
  },
  ...{ passedPps: 8, peakPps: 9, peakBps: 10, packets: 11, droppedPackets: 12, classified: true },
  ...{ tunnelsBefore: null, tunnelsLowest: 1, tunnels: 2 },
};

function stateWith(name: string, content: unknown): StateDir {
  const state = new StateDir(fs.mkdtempSync(path.join(os.tmpdir(), "state-")));
  fs.writeFileSync(state.file(name), typeof content === "string" ? content : JSON.stringify(content));
  return state;
}

test("what was saved is read again", () => {
  const state = new StateDir(fs.mkdtempSync(path.join(os.tmpdir(), "state-")));
  const open = { at: 7, attacks: [ATTACK], withdrawn: [], stoodDown: false, events: [] };
  state.writeAttacks(open);
  const learned = new Baselines();
  learned.learn(60_000, "host:syn", { pps: 40, bps: 9_000 }, 1);
  state.writeBaselines(learned);
  expect(state.readAttacks()).toEqual(open);
  expect(state.readBaselines().toJSON()).toEqual(learned.toJSON());
});

test.each([
  "",
  "{",
  "null",
  "[1]",
  "5",
  '"x"',
  { "host:syn": {} },
  { version: 2, lanes: { "host:syn": { state: [1], week: "" } } },
])("baselines that are none teach nothing: %j", (content) => {
  expect(stateWith("baselines.json", content).readBaselines().learnedAt).toBe(0);
});

test.each([{}, null, 5, { ...ATTACK, lanes: ["nowhere"] }, { ...ATTACK, pps: null }, { ...ATTACK, verdict: "flood" }])(
  "an attack that is none is not taken over: %j",
  (attack) => {
    expect(stateWith("attacks.json", { at: 1, attacks: [attack, ATTACK] }).readAttacks()).toMatchObject({
      at: 1,
      attacks: [ATTACK],
    });
  },
);
