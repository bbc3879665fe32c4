import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Vector } from "@flowtriq/protocol/vector";

const root = resolve(import.meta.dirname, "../../..");

/** Real captures that are not part of the product: see CONTRIBUTING. */
export const corporaDir = resolve(root, process.env.CORPORA_DIR ?? "../shared/corpora");
export const haveCorpora = existsSync(corporaDir);

export type Side = "attacks" | "legit";

/** Names and contents of one side's captures; empty where the folder is absent. */
export function corpus(side: Side): { name: string; file: () => Uint8Array }[] {
  if (!haveCorpora) return [];
  const folder = resolve(corporaDir, side);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".pcap"))
    .map((name) => ({ name: basename(name, ".pcap"), file: () => readFileSync(resolve(folder, name)) }));
}

/**
 * What the corpus's labels are called here; the first that fits. A mix of several floods is several vectors. The fragments of a
 * reflection are its answers' later pieces, so the service names it.
 */
const VECTOR_OF: readonly [RegExp, Vector][] = [
  [/\bmix|multi-?vector/i, "multi_vector"],
  [/SYN-?ACK (reflect|amplif)/i, "syn_ack_reflection"],
  [/DNS\b.*(reflect|amplif)/i, "dns_amplification"],
  [/NTP\b.*(reflect|amplif)/i, "ntp_amplification"],
  [/SSDP\b.*(reflect|amplif)/i, "ssdp_amplification"],
  [/SNMP\b.*(reflect|amplif)/i, "snmp_amplification"],
  [/memcached?\b.*(reflect|amplif)/i, "memcached_amplification"],
  [/C-?LDAP\b.*(reflect|amplif)/i, "cldap_amplification"],
  [/chargen\b.*(reflect|amplif)/i, "chargen_amplification"],
  [/WS-?D(iscovery)?\b.*(reflect|amplif)/i, "wsd_amplification"],
  [/CoAP\b.*(reflect|amplif)/i, "coap_amplification"],
  [/(IKE|ISAKMP)\b.*(reflect|amplif)/i, "ike_amplification"],
  [/OpenVPN\b.*(reflect|amplif)/i, "openvpn_amplification"],
  [/UDP\b.*(reflect|amplif)/i, "udp_amplification"],
  [/WireGuard (handshake|initiation).*flood/i, "wireguard_handshake_flood"],
  [/WireGuard data.*flood/i, "wireguard_data_flood"],
  [/OpenVPN (handshake|reset).*flood/i, "openvpn_handshake_flood"],
  [/OpenVPN data.*flood/i, "openvpn_data_flood"],
  [/IKE.*flood/i, "ike_handshake_flood"],
  [/starvation|trickle/i, "handshake_starvation"],
  [/fragment.*flood/i, "udp_fragment_flood"],
  [/\bAH\b.*flood/i, "ah_flood"],
  [/\bESP\b.*flood/i, "esp_flood"],
  [/\bGRE\b.*flood/i, "gre_flood"],
  [/(ICMP|ping|smurf|BlackNurse).*flood/i, "icmp_flood"],
  [/SYN flood/i, "syn_flood"],
  [/RST flood/i, "rst_flood"],
  [/\bACK flood/i, "ack_flood"],
  [/(xmas|null|FIN|URG|TCP)\b.*flood/i, "tcp_flood"],
  [/UDP\b.*flood/i, "udp_flood"],
  [/flood/i, "protocol_flood"],
];

export interface Labelled {
  name: string;
  label: string;
  /** Undefined: no vector of ours is meant by the label, or it has none. */
  vector: Vector | undefined;
  file: () => Uint8Array;
}

/** Every attack capture that lies in the folder, with what INDEX.tsv says that it is. */
export function labelled(): Labelled[] {
  const labels = new Map<string, string>();
  let before = "";
  for (const [path, , words] of haveCorpora ? rowsOf(readFileSync(resolve(corporaDir, "INDEX.tsv"), "utf8")) : []) {
    // "the same, attack packets only" belongs to the row above.
    const label = words?.startsWith("the same") ? `${before}; ${words}` : (words ?? "");
    labels.set(basename(path ?? "", ".pcap"), label);
    before = label;
  }
  return corpus("attacks").map(({ name, file }) => {
    const label = labels.get(name) ?? "";
    return { name, label, vector: VECTOR_OF.find(([words]) => words.test(label))?.[1], file };
  });
}

/** Tab-separated values; a field that holds quotes is quoted, with its own quotes doubled. */
const rowsOf = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t").map((field) => field.replace(/^"(.*)"$/, "$1").replaceAll('""', '"')));
