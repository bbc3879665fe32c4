/**
 * `npm run bench -- drop-cost`: what a packet costs the kernel under our rules, against a bare drop on the same hook, and against no
 * rules at all. Packets are made where the interface would receive them (see lab/inject.ts), so neither a sender nor a link hides the
 * rules. Variants take turns; medians. What making a packet costs is measured too and taken off. ROUNDS, PACKETS.
 */
import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import type { AttackName } from "@flowtriq/lab/attacks";
import { inject } from "@flowtriq/lab/inject";
import { createTopology, run, type Topology } from "@flowtriq/lab/namespaces";
import { frames } from "@flowtriq/lab/ring";
import { BARE_HOST } from "@flowtriq/mitigation/facts";
import { toNftables, toRemoval } from "@flowtriq/mitigation/nftables";
import { VpnPort } from "@flowtriq/protocol/lane";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { TABLE } from "../agent/agent.ts";
import { armAll } from "../agent/scenes.ts";
import { quantile } from "./figures.ts";
import { needRoot } from "./program.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 9);
const PACKETS = Number(process.env.PACKETS ?? 200_000);
const PORTS = (
  [
    [51820, "wireguard"],
    [1194, "openvpn"],
    [500, "ike"],
    [4500, "ipsec_nat_t"],
  ] as const
).map(([port, protocol]) => VpnPort.parse({ port, transport: "udp", protocol }));
/** What an agent makes of them once it has seen a thousand packets of peers. */
const PLAIN = PORTS.map((port) => ({ ...port, strictness: "strict" as const }));
const BARE = "bare";
const MAKING = "making a packet";
const NEVER = ["192.0.2.0/24", "2001:db8::/32"];

interface Variant {
  name: string;
  frame: Uint8Array;
  /** What the kernel holds meanwhile. */
  rules: string;
  passes?: true;
  fate?: "discard";
  against?: string;
  bar?: number;
}

needRoot();
const lab = await createTopology({ clients: 0 });
try {
  await bench(lab);
} finally {
  await lab.destroy();
}

async function bench(lab: Topology): Promise<void> {
  const variants = variantsOf(lab);
  const { namespace } = lab.concentrator;
  const empty = [TABLE, BARE].map((table) => `table inet ${table}\n${toRemoval(table)}`).join("");
  const costs = new Map(variants.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, frame, rules, passes, fate = "receive" } of variants) {
      await run(namespace, ["nft", "-f", "-"], { input: `${empty}${rules}` });
      const cost = await inject(namespace, {
        ...{ interface: "eth0", frame, packets: PACKETS, fate },
        // Whoever is to pass must be one whose checksum is right.
        ...(passes ? { randomSource: false, listen: 51820 } : { randomSource: true }),
      });
      costs.get(name)!.push(cost);
    }
  }
  const median = (name: string) => quantile(costs.get(name)!, 0.5);
  const making = median(MAKING);
  console.log(
    `\n${PACKETS} packets a turn, ${ROUNDS} turns; median (least) ns a packet, making it (${making} ns) taken off:\n`,
  );
  for (const { name, against, bar } of variants) {
    if (name === MAKING) continue;
    const cost = median(name) - making;
    const least = Math.min(...costs.get(name)!) - making;
    const ratio = against ? `${(cost / (median(against) - making)).toFixed(2)} x ${against}` : "";
    console.log(
      `  ${name.padEnd(52)} ${cost.toFixed(0).padStart(6)} (${least.toFixed(0).padStart(5)})  ${ratio.padEnd(36)}${bar ? `bar: <= ${bar}` : ""}`,
    );
  }
}

function variantsOf({ concentrator, floodMac }: Topology): Variant[] {
  const to = {
    destination: concentrator.address[4],
    destinationMac: concentrator.mac,
    sourceMac: floodMac,
    family: 4 as const,
  };
  const packet = (attack: AttackName, port?: number) =>
    // The smallest of some, as floods have them.
    [...frames({ attack, sources: "random", seed: 1, ...(port ? { port } : {}), ...to }, 400)].sort(
      (a, b) => a.length - b.length,
    )[0]!;
  const junk = packet("udp_random", 51820);
  const data = packet("wireguard_data", 51820);
  const index = Buffer.from(data.subarray(46, 50)).toString("hex");
  const peer = `${[...data.subarray(26, 30)].join(".")} . ${new DataView(data.buffer).getUint16(34)}`;
  const drop = (rule: string) =>
    `table inet ${BARE} {\nchain c { type filter hook ingress device "eth0" priority -500;\n${rule}\n}\n}\n`;
  const bare = "a bare drop";
  const none = "no rules, to a full socket";
  const armed = (attack: AttackName, frame = packet(attack)): Variant => ({
    ...{ name: `ours, armed: ${attack}`, frame, rules: ours() + armAll(PORTS), against: bare },
  });
  return [
    { name: MAKING, frame: junk, rules: "", fate: "discard" },
    { name: bare, frame: junk, rules: drop("drop") },
    { name: "a counted drop", frame: junk, rules: drop("counter drop"), against: bare },
    {
      ...armed("udp_random", junk),
      ...{ name: "ours, armed: junk to the VPN port", rules: ours({ ports: PLAIN }) + armAll(PLAIN), bar: 1.5 },
    },
    { ...armed("udp_random", junk), name: "the same, before all peers have spoken plainly" },
    {
      ...armed("udp_random", junk),
      name: "the same, some never blocked",
      rules: ours({ neverBlock: NEVER, ports: PLAIN }) + armAll(PLAIN),
    },
    armed("wireguard_data", data),
    armed("wireguard_initiation"),
    armed("openvpn_reset"),
    armed("openvpn_data"),
    armed("ike_sa_init"),
    armed("ntp_amplification"),
    armed("syn"),
    armed("syn_options"),
    armed("icmp_echo"),
    { name: none, frame: data, rules: "", passes: true },
    {
      ...{ name: "ours: data on an issued index", frame: data, passes: true, against: none, bar: 1.4 },
      rules: `${ours({ quiet: true })}add element inet ${TABLE} wg_index { 0x${index} }\n`,
    },
    {
      ...{ name: "the same, above the lane's threshold", frame: data, passes: true, against: none },
      rules: `${ours()}add element inet ${TABLE} wg_index { 0x${index} }\n`,
    },
    {
      ...{ name: "ours: data of a known peer, its index not issued", frame: data, passes: true, against: none },
      rules: `${ours({ quiet: true })}add element inet ${TABLE} peer4 { ${peer} }\n`,
    },
  ];
}

function ours({ neverBlock = [] as string[], quiet = false, ports = PORTS } = {}): string {
  const detector = new Detector({
    ...{ ports, policy: { ...DEFAULT_POLICY, mode: "enforce" as const }, baselines: new Baselines() },
    samples: { ports, mac1Keys: new Map() },
    newId: () => "atk",
  });
  return toNftables({
    ...{ table: TABLE, interfaces: ["eth0"], ports, hook: "ingress" as const },
    ...{ nflogGroup: 4999, recordGroup: 5000, samplesPerSecond: 200 },
    ...{ ...BARE_HOST, neverBlock, busy: true },
    // In peace no lane is above its threshold; here millions of packets a second come.
    trips: quiet ? () => ({ pps: 100_000_000, burst: 10_000 }) : (lane) => detector.threshold(lane).bell,
  });
}
