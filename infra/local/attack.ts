import { parseArgs } from "node:util";
import { ATTACK_NAMES, type AttackName } from "@flowtriq/lab/attacks";
import { flood } from "@flowtriq/lab/flood";
import { openTopology } from "@flowtriq/lab/namespaces";
import { publicKeyOf } from "@flowtriq/lab/wireguard";
import { grouped } from "./timeline.ts";

/** Vectors whose generator has another name. */
const GENERATORS: Record<string, AttackName> = {
  udp_flood: "udp_random",
  udp_fragment_flood: "udp_fragment",
  syn_flood: "syn",
  syn_ack_reflection: "syn_ack",
  ack_flood: "ack",
  rst_flood: "rst",
  icmp_flood: "icmp_echo",
  gre_flood: "gre",
  esp_flood: "esp",
  ah_flood: "ah",
  wireguard_data_flood: "wireguard_data",
  wireguard_handshake_flood: "wireguard_initiation",
  openvpn_handshake_flood: "openvpn_reset",
  openvpn_data_flood: "openvpn_data",
  ike_handshake_flood: "ike_sa_init",
};

/** The one that `npm start` keeps up. */
const LAB = process.env.DEMO_LAB || "demo";

const USAGE = `Usage: npm run attack -- NAME [--pps 100000] [--seconds 5] [--ipv6]
Names: ${[...Object.keys(GENERATORS), ...ATTACK_NAMES].join(", ")}`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      pps: { type: "string", default: "100000" },
      seconds: { type: "string", default: "5" },
      ipv6: { type: "boolean", default: false },
    },
  });
  const [name = ""] = positionals;
  const attack = GENERATORS[name] ?? ATTACK_NAMES.find((known) => known === name);
  if (!attack || positionals.length > 1) throw new Error(USAGE);
  const lab = await openTopology(LAB).catch(() => {
    throw new Error("No demonstration is running: start it with `npm start` as root, in another terminal.");
  });
  const keyed = attack === "wireguard_initiation_valid_mac1";
  const running = await flood(lab, {
    attack,
    pps: Number(values.pps),
    seconds: Number(values.seconds),
    family: values.ipv6 ? 6 : 4,
    ...(keyed && { serverPublicKey: await publicKeyOf(`${LAB}-s`) }),
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void running.stop());
  console.log(`${attack} against ${lab.concentrator.address[values.ipv6 ? 6 : 4]}, up to ${values.seconds} s …`);
  const { sent, seconds, pps } = await running.result;
  console.log(`${grouped(sent)} packets in ${seconds.toFixed(1)} s, ${grouped(pps)} packets/s.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
