import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { attackFrames, toPcap } from "@flowtriq/lab/pcap";
import { describe, expect, test } from "vitest";
import { AGENT } from "./agent.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CORPORA = path.resolve(ROOT, process.env.CORPORA_DIR ?? "../shared/corpora");
const captures = (side: string) =>
  fs.existsSync(`${CORPORA}/${side}`)
    ? fs.readdirSync(`${CORPORA}/${side}`).filter((name) => name.endsWith(".pcap"))
    : [];
if (captures("legit").length === 0) console.warn(`skipped: no captures in ${CORPORA} (CORPORA_DIR)`);

type Summary = {
  event: string;
  packets: number;
  attack: boolean;
  vector: string | null;
  classification: { vector: string | null; confidence: number };
};

function replay(file: string, ...options: string[]) {
  const output = execFileSync(AGENT, ["replay", file, "--json", ...options], { encoding: "utf8", maxBuffer: 1 << 26 });
  const lines = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { events: lines.slice(0, -1) as { event: string; at: string }[], summary: lines.at(-1) as Summary };
}

function recorded(attack: Parameters<typeof attackFrames>[0]["attack"], packets: number, pps: number): string {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "replay-")), `${attack}.pcap`);
  fs.writeFileSync(file, toPcap(attackFrames({ attack, packets, pps })));
  return file;
}

describe("a capture of the lab's own", () => {
  test.each([
    ["udp_random", "udp_flood"],
    ["dns_amplification", "dns_amplification"],
    ["syn", "syn_flood"],
    ["wireguard_data", "wireguard_data_flood"],
    ["wireguard_initiation", "wireguard_handshake_flood"],
  ] as const)("%s is told as %s, in the capture's own time", (attack, vector) => {
    const { events, summary } = replay(recorded(attack, 20_000, 20_000));
    expect(summary).toMatchObject({ event: "replay.summary", packets: 20_000, attack: true, vector });
    expect(summary.classification.vector).toBe(vector);
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining([
        "attack.started",
        "attack.classified",
        "mitigation.applied",
        "mitigation.removed",
        "attack.ended",
      ]),
    );
  });

  test("a capture cut in the middle of a packet is read as far as it is whole", () => {
    const file = recorded("udp_random", 5_000, 50_000);
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, bytes.subarray(0, bytes.length - 7));
    expect(replay(file).summary).toMatchObject({ packets: 4_999, attack: true, truncated: expect.any(String) });
  });

  test.each([
    ["an empty file", Buffer.alloc(0)],
    ["something else", Buffer.from("GIF89a and so on, nothing of a capture")],
    ["half a header", Buffer.from("d4c3b2a1020004", "hex")],
  ])("%s is refused with words", (_, bytes) => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "replay-")), "x.pcap");
    fs.writeFileSync(file, bytes);
    expect(() => replay(file)).toThrow(/capture file/);
  });
});

// They lie beside the repository, not in it: CORPORA_DIR says where.
describe.skipIf(captures("legit").length === 0)("real captures", () => {
  test.each(captures("legit"))("no attack is reported in %s", (name) => {
    const { summary } = replay(`${CORPORA}/legit/${name}`);
    expect(summary).toMatchObject({ attack: false, vector: null, classification: { vector: null } });
  });

  test.each(captures("attacks"))("%s is called an attack by the classifier", (name) => {
    expect(replay(`${CORPORA}/attacks/${name}`).summary.classification.vector).not.toBeNull();
  });
});
