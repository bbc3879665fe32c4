/** The lab by hand: `lab up`, `lab attack udp_random --pps 200000 --seconds 5`, `lab down`. Needs root; run by Bun or tsx. */
import { existsSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { ATTACK_NAMES, type AttackName } from "./attacks.ts";
import { type FloodOptions, flood } from "./flood.ts";
import { startMeter, timeToFirstDrop } from "./meter.ts";
import { createTopology, type Family, openTopology, sweep, type Topology } from "./namespaces.ts";
import { attackFrames, toPcap } from "./pcap.ts";
import { probe } from "./probe.ts";
import { publicKeyOf, startWireguard } from "./wireguard.ts";

const program = new Command("lab").description("A small internet in network namespaces, to attack and to protect.");
program.option("--prefix <name>", "which lab", "lab");
const prefix = () => program.opts<{ prefix: string }>().prefix;

program
  .command("up")
  .description("build a concentrator with a WireGuard server, its clients and an attacker; they stay until `lab down`")
  .option("--clients <n>", "how many clients", count, 2)
  .option("--management", "join this machine and the concentrator by a link")
  .action(async (options: { clients: number; management?: boolean }) => {
    const lab = await createTopology({ prefix: prefix(), keep: true, ...options });
    try {
      const wireguard = await startWireguard(lab);
      print(`Concentrator: ip netns exec ${lab.concentrator.namespace} ... (eth0 ${addresses(lab)})`);
      print(
        `WireGuard: udp ${wireguard.port}, ${wireguard.clients.length} tunnels up, public key ${wireguard.publicKey}`,
      );
      if (lab.management) print(`Management link: ${lab.management.host} here, ${lab.management.concentrator} there`);
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  });

program
  .command("attack")
  .description("flood the concentrator, count what passes and what the tunnel suffers")
  .argument("<attack>", "one of the generators (see `lab attacks`)", attackName)
  .option("--pps <n>", "packets a second", count, 20_000)
  .option("--seconds <n>", "how long, at most 60", Number, 5)
  .option("--port <n>", "destination port", count)
  .option("--seed <n>", "the same seed gives the same packets", count, 1)
  .addOption(new Option("--family <n>", "4 or 6").choices(["4", "6"]).default("4"))
  .option("--sources <which>", "random, a number of addresses, or one address", "random")
  .action(async (attack: AttackName, options: AttackFlags) => {
    const lab = await openTopology(prefix());
    const device = `${lab.prefix}-s`;
    const serverPublicKey = existsSync(`/var/run/wireguard/${device}.sock`) ? await publicKeyOf(device) : undefined;
    const client = serverPublicKey ? lab.clients[0] : undefined;
    const pings = client && probe({ namespace: client.namespace, target: "10.200.0.1", intervalMs: 50 });
    const meter = await startMeter(lab, options.port ? { ports: [options.port] } : {});
    try {
      const family = Number(options.family) as Family;
      const sources = parseSources(options.sources);
      const running = await flood(lab, { ...options, attack, family, sources, serverPublicKey });
      process.once("SIGINT", () => void running.stop());
      print(`First packet at ${new Date(running.firstPacketAt).toISOString()}; ${options.seconds} s, Ctrl-C ends it`);
      const result = await running.result;
      const { arrived, passed } = await meter.read();
      const drop = await timeToFirstDrop(result, meter);
      print(
        `Sent ${result.sent} (${Math.round(result.pps)} a second), arrived ${arrived.packets}, passed ${passed.packets}`,
      );
      print(drop ? `First drop: packet ${drop.packet}, after ${drop.ms.toFixed(1)} ms` : "Nothing was dropped");
      if (pings) {
        const { sent, lost, rttMs } = await pings.stop();
        print(`Tunnel: ${lost} of ${sent} pings lost, round trip ${rttMs.median} ms median, ${rttMs.max} ms at most`);
      }
    } finally {
      await meter.stop();
    }
  });

program
  .command("attacks")
  .description("list the generators")
  .action(() => print(ATTACK_NAMES.join("\n")));

program
  .command("pcap")
  .description("write the packets of a flood into a capture file; needs no lab and no root")
  .argument("<attack>", "one of the generators", attackName)
  .argument("<file>")
  .option("--packets <n>", "how many", count, 10_000)
  .option("--pps <n>", "packets a second", count, 20_000)
  .option("--port <n>", "destination port", count)
  .option("--seed <n>", "the same seed gives the same packets", count, 1)
  .addOption(new Option("--family <n>", "4 or 6").choices(["4", "6"]).default("4"))
  .option("--public-key <base64>", "the server's, for valid mac1")
  .action((attack: AttackName, file: string, options: PcapFlags) => {
    const { family, publicKey, ...rest } = options;
    const capture = { ...rest, attack, family: Number(family) as Family, serverPublicKey: publicKey };
    writeFileSync(file, toPcap(attackFrames(capture)));
  });

program
  .command("down")
  .description("end every process of the lab and remove it")
  .action(async () => {
    const removed = await sweep(prefix());
    print(removed.length > 0 ? `Removed ${removed.join(", ")}` : `No lab called ${prefix()}`);
  });

interface AttackFlags extends Pick<FloodOptions, "pps" | "seconds" | "port" | "seed"> {
  family: string;
  sources: string;
}

interface PcapFlags {
  packets: number;
  pps: number;
  port?: number;
  seed: number;
  family: string;
  publicKey?: string;
}

const print = (line: string) => console.log(line);
const addresses = (lab: Topology) => Object.values(lab.concentrator.address).join(", ");

function count(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError("Not a whole number.");
  return Number(text);
}

function attackName(text: string): AttackName {
  const name = ATTACK_NAMES.find((known) => known === text);
  if (!name) throw new InvalidArgumentError(`Known are ${ATTACK_NAMES.join(", ")}.`);
  return name;
}

function parseSources(text: string): NonNullable<FloodOptions["sources"]> {
  if (text === "random") return text;
  return /^\d+$/.test(text) ? { count: Number(text) } : { address: text };
}

try {
  await program.parseAsync();
  // The servers of a lab that stays are children of ours: do not wait for them.
  process.exit(0);
} catch (error) {
  console.error(error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : error);
  process.exit(1);
}
