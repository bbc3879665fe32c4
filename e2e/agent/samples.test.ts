import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { readPcap } from "@flowtriq/detection/pcap";
import type { AttackName } from "@flowtriq/lab/attacks";
import { inject } from "@flowtriq/lab/inject";
import { createTopology, run, type Topology } from "@flowtriq/lab/namespaces";
import { record } from "@flowtriq/lab/record";
import { frames } from "@flowtriq/lab/ring";
import { BARE_HOST } from "@flowtriq/mitigation/facts";
import { toNftables } from "@flowtriq/mitigation/nftables";
import { VpnPort } from "@flowtriq/protocol/lane";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { armAll } from "./scenes.ts";

const isRoot = process.getuid?.() === 0;
const GROUP = 4998;
const TABLE = "samples";
const SAMPLES_PER_SECOND = 100;
/** What all lanes together may hand up at once: TOTAL_BURST of the compiler. */
const BURST = 200;
const PACKETS = 300_000;
const LANES: AttackName[] = [
  "udp_random",
  "wireguard_data",
  "wireguard_initiation",
  "dns_amplification",
  "syn",
  "syn_ack",
  "ack",
  "icmp_echo",
];
const PORTS = [VpnPort.parse({ port: 51820, transport: "udp", protocol: "wireguard" })];

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("headers handed up", () => {
  let lab: Topology;
  let dir: string;
  let obstacle: string | undefined;
  beforeAll(async () => {
    lab = await createTopology({ clients: 0 });
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "samples-"));
    // A container may hold the kernel's programs back, and before Linux 5.18 there are none of this kind.
    const one = {
      interface: "eth0",
      frame: new Uint8Array(60),
      packets: 1,
      randomSource: false,
      fate: "discard",
    } as const;
    obstacle = await inject(lab.concentrator.namespace, one).then(
      () => undefined,
      (error: Error) => `no XDP program can be run here: ${error.message.slice(-200)}`,
    );
  });
  afterAll(async () => {
    await lab?.destroy();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  // As fast as the kernel takes packets: a million a second, on a machine that has the time.
  test.for([
    ["judged", ""],
    ["mitigated", armAll(PORTS, TABLE)],
  ])("are never more than configured while lanes are %s", async ([name, armed], { skip }) => {
    if (obstacle) skip(obstacle);
    const { concentrator, floodMac } = lab;
    const rules = toNftables({
      ...{
        table: TABLE,
        interfaces: ["eth0"],
        ports: PORTS,
        hook: "ingress",
        nflogGroup: GROUP,
        ...BARE_HOST,
      },
      samplesPerSecond: SAMPLES_PER_SECOND,
      trips: () => ({ pps: 1_000, burst: 100 }),
    });
    await run(concentrator.namespace, ["nft", "-f", "-"], {
      input: `table inet ${TABLE}\ndelete table inet ${TABLE}\n${rules}${armed}`,
    });
    const recording = await record(concentrator, path.join(dir, `${name}.pcap`), { interface: `nflog:${GROUP}` });
    const begun = performance.now();
    for (const attack of LANES) {
      const [frame] = frames(
        {
          ...{ attack, family: 4, sources: "random", seed: 1, sourceMac: floodMac, port: 51820 },
          ...{ destination: concentrator.address[4], destinationMac: concentrator.mac },
        },
        1,
      );
      const request = {
        interface: "eth0",
        frame: frame!,
        packets: PACKETS,
        randomSource: true,
        fate: "receive",
      } as const;
      await inject(concentrator.namespace, request);
    }
    await recording.stop();
    const seconds = (performance.now() - begun) / 1000;
    const samples = [...readPcap(new Uint8Array(fs.readFileSync(recording.file)))].length;
    expect(samples).toBeGreaterThan(LANES.length);
    expect(samples).toBeLessThanOrEqual(BURST + SAMPLES_PER_SECOND * seconds);
  });
});
