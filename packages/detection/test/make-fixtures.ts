/**
 * Writes fixtures/*.pcap, one per vector and some of ordinary traffic, from the generators: small, reproducible, our own.
 * Run: npx tsx packages/detection/test/make-fixtures.ts
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { LINK } from "../src/packet.ts";
import { writePcap } from "../src/pcap.ts";
import { attacks, trickles } from "./attacks.ts";
import { ordinary, storm } from "./ordinary.ts";
import { Script, World } from "./world.ts";

const folder = resolve(import.meta.dirname, "../fixtures");
const START = 1_700_000_000_000;
const PACKETS = 32;

type Write = (world: World, script: Script) => void;
const files: Record<string, Write> = {
  ...Object.fromEntries(
    Object.entries(attacks).map(([name, attack]): [string, Write] => [
      name,
      (world, script) => attack(world, script, PACKETS, START, START + 20),
    ]),
  ),
  handshake_starvation: (world, script) => trickles[0]!(world, script, PACKETS, START, START + 1500),
  multi_vector: (world, script) => {
    attacks.syn_flood(world, script, PACKETS, START, START + 20);
    attacks.dns_amplification(world, script, PACKETS, START, START + 20);
  },
  reconnect_storm: (world, script) => storm(world, script, 90, START + 6000, START + 8000),
  ...Object.fromEntries(
    ["wireguardServer", "openvpn", "ipsec", "webServer", "dnsClient", "portScan", "quicServer", "noise"].map(
      (name): [string, Write] => [
        `legitimate.${name}`,
        (world, script) => ordinary[name]!(world, script, 60, START, START + 5000),
      ],
    ),
  ),
};

mkdirSync(folder, { recursive: true });
let octets = 0;
for (const [name, write] of Object.entries(files)) {
  const world = new World(20260101, "held-out");
  const script = new Script(200);
  write(world, script);
  const events = script.events.sort((a, b) => a.at - b.at);
  const file = writePcap(
    events.map(({ at, bytes, packet }) => ({ at, bytes, wireLength: packet.wireLength })),
    { linkType: LINK.raw },
  );
  octets += file.length;
  writeFileSync(resolve(folder, `${name}.pcap`), file);
}
console.log(`${Object.keys(files).length} files, ${octets} octets`);
