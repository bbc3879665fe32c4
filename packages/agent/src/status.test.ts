import { expect, test } from "vitest";
import { type StatusReport, statusText } from "./status.ts";
import { paintFor } from "./terminal.ts";

const NOW = Date.parse("2026-11-25T12:00:00.000Z");
const style = { width: 80, paint: paintFor({}, {}) };
const lane = {
  bytes: 0,
  dropped: 0,
  droppedBytes: 0,
  wouldDrop: 0,
  armedSeconds: null,
  watchedSeconds: null,
  firstAidSeconds: null,
};
const peace: StatusReport = {
  version: "1.0.0",
  mode: "enforce",
  revision: 3,
  standingDown: false,
  interfaces: ["eth0"],
  backend: "nftables/ingress",
  ports: [{ port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" }],
  tunnels: 214,
  attacks: [],
  armed: [],
  lanes: {},
  rules: [
    { ...lane, lane: "udp:51820:malformed", packets: 9, firstAidSeconds: 40 },
    { ...lane, lane: "host:udp", packets: 9 },
  ],
  samples: 0,
  startedAt: NOW - 7_260_000,
  spoolEvents: null,
  service: null,
};
const attack: StatusReport["attacks"][number] = {
  id: `atk_${"0123456789abcdef".repeat(2)}`,
  target: "udp:51820",
  lanes: ["udp:51820:malformed"],
  verdict: "udp_flood",
  confidence: 0.97,
  evidence: [],
  firstPacketAt: NOW - 192_000,
  trippedAt: NOW - 192_000,
  startedAt: NOW - 192_000,
  lastSeenAt: NOW,
  thresholdPps: 100,
  pps: 312_000,
  bps: 1_200_000_000,
  passedPps: 118,
  peakPps: 340_000,
  peakBps: 1_300_000_000,
  packets: 1,
  droppedPackets: 1,
  tunnelsBefore: 214,
  tunnelsLowest: 213,
  tunnels: 214,
  classified: true,
};

test("in peace one look tells that all is well", () => {
  expect(statusText(peace, NOW, style)).toBe(
    [
      "No attack, mode enforce, policy revision 3, running for 2h 1m",
      "",
      "tunnels   214",
      "watching  eth0 with nftables/ingress",
      "ports     51820/udp wireguard",
      "rules     2 lanes, 1 on first aid",
      "service   none: stand-alone",
    ].join("\n"),
  );
});

test("under attack age, vector, rates before and after, rules with their lease and tunnels fit 80 columns", () => {
  const [aided, open] = peace.rules;
  const text = statusText({ ...peace, attacks: [attack], rules: [{ ...aided!, armedSeconds: 38 }, open!] }, NOW, style);
  expect(text).toContain("Under attack, mode enforce");
  expect(text).toContain(
    [
      attack.id,
      "  udp_flood on udp:51820, 97 % sure, for 3m 12s",
      "  in 312 kpps 1.2 Gbps, passed 118 pps, peak 340 kpps",
      "  rules udp:51820:malformed armed for 38s",
      "  tunnels 214 before, 213 at the lowest, 214 now",
    ].join("\n"),
  );
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("a service out of reach is told with its reason, which cannot write to the terminal", () => {
  const service = {
    url: "https://s.example",
    connected: false,
    lastReportAt: new Date(NOW - 60_000).toISOString(),
    trouble: "\x1b[2Jno",
  };
  const text = statusText({ ...peace, spoolEvents: 12, service }, NOW, style);
  expect(text.replace(/\n {10}/g, " ")).toContain(
    "service   not connected to https://s.example, last reached 1m ago, 12 events wait: ?[2Jno",
  );
});
