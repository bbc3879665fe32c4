import { spawnSync } from "node:child_process";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { expect, test } from "vitest";
import { Figures } from "./figures.ts";
import { metricsText } from "./metrics.ts";
import type { StatusReport } from "./status.ts";

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;
const AT = Date.parse("2026-11-25T12:00:00.000Z");
const lane = {
  dropped: 5,
  droppedBytes: 500,
  wouldDrop: 0,
  armedSeconds: 30,
  watchedSeconds: null,
  firstAidSeconds: null,
};
const status: StatusReport = {
  version: '1.0"\\\n',
  mode: "enforce",
  revision: 2,
  standingDown: false,
  interfaces: ["eth0"],
  backend: "nftables/ingress",
  ports: [],
  tunnels: null,
  attacks: [],
  armed: [],
  lanes: {},
  rules: [{ ...lane, lane: "udp:51820:malformed", packets: 9, bytes: 900 }],
  samples: 12,
  startedAt: AT,
  spoolEvents: 4,
  service: { url: "https://s.example", connected: true, lastReportAt: null, trouble: null },
};

const event = (fields: object) => ({ attack: "atk_0123456789", ...fields }) as AgentEvent;
const at = (ms: number) => new Date(AT + ms).toISOString();

test("the latency of an attack runs from its first packet as it was reckoned last, and is counted once", () => {
  const figures = new Figures();
  figures.take(event({ event: "attack.started", firstPacketAt: at(20) }));
  figures.take(event({ event: "mitigation.applied", at: at(42), dryRun: false }));
  figures.take(event({ event: "mitigation.applied", at: at(900), dryRun: false }));
  figures.take(event({ event: "attack.classified", firstPacketAt: at(12) }));
  figures.take(event({ event: "attack.ended", vector: "udp_flood" }));
  expect(figures.latency).toEqual({ buckets: [0, 0, 0, 1, 1, 1, 1, 1, 1], sum: 0.03, count: 1 });
  expect([...figures.attacks]).toEqual([["udp_flood", 1]]);
});

test("a dry run has no latency", () => {
  const figures = new Figures();
  figures.take(event({ event: "attack.started", firstPacketAt: at(0) }));
  figures.take(event({ event: "mitigation.applied", at: at(10), dryRun: true }));
  figures.take(event({ event: "attack.ended", vector: "udp_flood" }));
  expect(figures.latency.count).toBe(0);
});

test("labels are escaped, and what is not known is absent", () => {
  const text = metricsText(status, new Figures());
  expect(text).toContain('build_info{version="1.0\\"\\\\\\n",backend="nftables/ingress"} 1');
  expect(text).toContain('lane_dropped_packets_total{lane="udp:51820:malformed"} 5');
  expect(text).toContain("spool_events 4");
  expect(text).not.toContain("tunnels");
  expect(text).not.toContain("attacks_ended_total");
});

test.skipIf(!hasPromtool)("promtool finds nothing to say", () => {
  const figures = new Figures();
  figures.take(event({ event: "attack.ended", vector: "udp_flood" }));
  figures.take(event({ event: "agent.warning", code: "rules_changed" }));
  const input = metricsText({ ...status, tunnels: 3 }, figures);
  const { stdout, stderr, status: code } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  expect([stdout, stderr, code]).toEqual(["", "", 0]);
});
