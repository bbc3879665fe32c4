import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import { replay, type Timed } from "@flowtriq/detection/replay";
import { plan } from "@flowtriq/mitigation/plan";
import { VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { attack, JUNK_PPS, PORT, responsePacket } from "./made-up.ts";
import { toolEnv } from "./system.ts";
import { type Answer, type Style, wrap } from "./terminal.ts";

/** The word by which the program knows that it is the one inside the namespace; no command of an operator. */
export const INSIDE = "self-test-inside";
/** The same for the one that sends the burst there. */
export const SENDER = "self-test-sender";

/** What was seen. Without rules in a kernel nothing is dropped, so what would have been is told. */
export type Trial = {
  vector: string | null;
  /** From the first packet of junk to the rules. */
  detectionMs: number | null;
  junk: { sent: number; passed: number };
  genuine: { sent: number; passed: number };
};
/** What the one inside says: a trial, or why there can be none. */
export type InsideReport = { trial: Trial } | { cannot: string };

export const TEST_PORT = VpnPort.parse({ port: PORT, transport: "udp", protocol: "wireguard" });
/** Far more than a busy machine needs; then it is killed, and its namespace goes with it. */
const LONGEST_MS = 90_000;

/** Shows detection and rules at work; neither the host's rules nor its traffic are touched. */
export async function selfTest(style: Style): Promise<Answer> {
  const inside = await inNamespace();
  const method = "trial" in inside ? "namespace" : "replay";
  const trial = "trial" in inside ? inside.trial : throughDetector();
  const passed =
    trial.vector !== null && trial.junk.passed < trial.junk.sent / 2 && trial.genuine.passed === trial.genuine.sent;
  const why = "cannot" in inside ? inside.cannot : null;
  return {
    json: { passed, method, whyNoNamespace: why, ...trial },
    text: trialText(trial, passed, why, style),
    exitCode: passed ? 0 : 1,
  };
}

async function inNamespace(): Promise<InsideReport> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "self-test-"));
  try {
    const user = process.getuid?.() === 0 ? [] : ["--map-root-user"];
    const home = String(fs.statSync("/proc/self/ns/net").ino);
    return await reportOf(["unshare", ...user, "--net", process.execPath, INSIDE, home, dir]);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** The one inside ends when its standard input does, so that it cannot outlive us; the kernel removes its namespace with it. */
function reportOf([file, ...args]: string[]): Promise<InsideReport> {
  return new Promise((resolve) => {
    const child = spawn(file!, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, PATH: toolEnv.PATH } });
    const killer = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
    let answer = "";
    let trouble = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      answer += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      trouble = (trouble + chunk).slice(-500);
    });
    const end = (cannot: string) => {
      clearTimeout(killer);
      resolve(parseReport(answer) ?? { cannot });
    };
    child.on("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ENOENT" ? "unshare is not installed (package util-linux)" : error.message),
    );
    child.on("close", (code) => end(trouble.trim().split("\n").at(-1) || `the test's process ended with ${code}`));
  });
}

function parseReport(text: string): InsideReport | undefined {
  try {
    return JSON.parse(text) as InsideReport;
  } catch {
    return undefined;
  }
}

/** The same traffic through the pure detector: it shows the decisions, not the kernel's rules. */
function throughDetector(): Trial {
  const ports = [TEST_PORT];
  const policy = Policy.parse({ mode: "enforce" });
  const detector = new Detector({
    ports,
    policy,
    baselines: new Baselines(),
    samples: { ports, mac1Keys: new Map() },
    newId: () => "atk_selftest000",
  });
  const from = Date.now();
  const sent = { junk: 0, genuine: 0 };
  const packets: Timed[] = [{ at: from, packet: readPacket(responsePacket(), LINK.raw)! }];
  for (const { kind, packet } of attack((bytes) => crypto.getRandomValues(bytes))) {
    sent[kind]++;
    packets.push({ at: from + ((sent.junk + sent.genuine) * 1_000) / JUNK_PPS, packet: readPacket(packet, LINK.raw)! });
  }
  let genuinePassed = sent.genuine;
  const armedFor = (attacks: typeof detector.attacks) => {
    const { armed } = plan(
      policy,
      attacks.map(({ id, verdict, lanes }) => ({ id, verdict, lanes, withdrawn: false })),
      { ports, conntrack: false },
    );
    if (armed.includes(vpnLane(TEST_PORT, "data"))) genuinePassed = 0;
    return armed;
  };
  const trial: Trial = {
    vector: null,
    detectionMs: null,
    junk: { sent: sent.junk, passed: sent.junk },
    genuine: { sent: sent.genuine, passed: 0 },
  };
  const host = packets[0]!.packet.source;
  for (const change of replay(packets, { ports, detector, host, samplesPerSecond: 200, armed: armedFor })) {
    trial.vector = change.attack.verdict;
    trial.detectionMs ??= Math.round(change.at - packets[1]!.at);
    if (change.kind === "ended") trial.junk.passed = sent.junk - change.attack.droppedPackets;
  }
  trial.genuine.passed = genuinePassed;
  return trial;
}

function trialText(
  { vector, detectionMs, junk, genuine }: Trial,
  passed: boolean,
  why: string | null,
  { width, paint }: Style,
): string {
  const would = why === null ? "" : "would have been ";
  const count = (value: number) => value.toLocaleString("en");
  return [
    passed ? paint.green("Passed.") : paint.red("FAILED."),
    wrap(
      why === null
        ? "In a network namespace of its own, with the rules in the kernel; the host was not touched."
        : `In the detector alone, without rules in a kernel, because no namespace could be made: ${why}.`,
      width,
    ),
    "",
    `junk      ${count(junk.sent)} packets sent, ${count(junk.sent - junk.passed)} ${would}dropped`,
    `genuine   ${count(genuine.sent)} packets sent between them, ${count(genuine.sent - genuine.passed)} ${would}lost`,
    vector === null ? "detected  nothing" : `detected  ${vector}, ${detectionMs ?? "?"} ms after the first packet`,
    ...(passed
      ? []
      : ["", wrap("Something here is not as it should be: run doctor, and report what both say.", width)]),
  ].join("\n");
}
