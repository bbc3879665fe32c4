import { type AttackName, attacks } from "@flowtriq/lab/attacks";
import type { FloodOptions } from "@flowtriq/lab/flood";
import type { Family } from "@flowtriq/lab/namespaces";
import type { Protocol } from "../tunnels.ts";

/** Letters of the attack catalogue that are measured. */
export const LETTERS = ["A", "B", "C", "D", "E", "F", "H", "J", "L", "M", "N"] as const;
export type Letter = (typeof LETTERS)[number];

/** One attack as it is made. What is left out is what the benchmark is told: the rate, the time, both families, random sources. */
export interface Case {
  letter?: Letter;
  attack: AttackName;
  /** What sets it apart from others of the same name. */
  note?: string;
  port?: number;
  family?: Family;
  pps?: number;
  sources?: FloodOptions["sources"];
  slots?: number;
  pulses?: { on: number; off: number };
  /** All addresses of a prefix are attacked. */
  carpet?: true;
  /** Genuine messages of a client, as a sniffer has them: its handshake, or a packet of its session. */
  sniffed?: "handshake" | "session";
  /** OpenVPN runs without tls-crypt. */
  plain?: true;
}

/** A /48 of which each of its networks is a source. */
const ROTATED = { prefix: "2a01:48:48::/48" };
/** So slow that no bound on volume notices. */
const TRICKLES = [15, 100, 1_000];
const SHORT = { on: 0.2, off: 0.8 };
const LONGER = { on: 0.5, off: 0.5 };
/** Of valid handshakes as many different ones as a sender holds, because a repeated one is a replay (F). */
const DISTINCT = 131_072;
const REFLECTED = [
  "dns",
  "ntp",
  "ssdp",
  "snmp",
  "memcached",
  "cldap",
  "chargen",
  "wsd",
  "coap",
  "ike",
  "openvpn",
] as const;

const as = (letter: Letter, ...cases: Omit<Case, "letter">[]): Case[] => cases.map((one) => ({ letter, ...one }));
const trickles = (attack: AttackName, more: Partial<Case> = {}) =>
  TRICKLES.map((pps) => ({ attack, pps, note: `${pps} a second${more.plain ? ", no tls-crypt" : ""}`, ...more }));

export const CASES: Case[] = [
  ...as("A", ...[51820, 1194, 500, 4500].map((port) => ({ attack: "udp_random" as const, port, note: `to ${port}` }))),
  ...as("B", { attack: "wireguard_data" }, { attack: "openvpn_data" }, { attack: "ipsec_data" }, { attack: "esp" }),
  ...as("C", { attack: "wireguard_data", sniffed: "session", note: "index of a session" }),
  ...as("D", { attack: "wireguard_initiation" }),
  ...as("E", { attack: "wireguard_initiation_valid_mac1", slots: DISTINCT }),
  ...as("F", { attack: "wireguard_initiation_valid_mac1", sniffed: "handshake", note: "replayed" }),
  ...as(
    "H",
    ...(["wireguard_initiation_valid_mac1", "openvpn_reset", "ike_sa_init"] as const).map((attack) => ({
      ...{ attack, family: 6 as const, sources: ROTATED, note: "from a /48" },
      ...(attack === "wireguard_initiation_valid_mac1" ? { slots: DISTINCT } : {}),
    })),
  ),
  ...as(
    "J",
    { attack: "openvpn_reset" },
    ...trickles("openvpn_reset"),
    { attack: "openvpn_reset_plain", plain: true, note: "no tls-crypt" },
    ...trickles("openvpn_reset_plain", { plain: true }),
  ),
  ...as(
    "L",
    { attack: "ike_sa_init" },
    ...trickles("ike_sa_init"),
    { attack: "ike_auth" },
    { attack: "ike_auth", port: 4500, note: "to 4500" },
    ...trickles("ike_auth"),
  ),
  ...as("M", { attack: "udp_fragment" }, ...REFLECTED.map((kind) => ({ attack: `${kind}_amplification` as const }))),
  ...as(
    "N",
    { attack: "udp_random", pulses: SHORT, note: "0.2 s on, 0.8 off" },
    { attack: "wireguard_initiation", pulses: LONGER, note: "0.5 s on, 0.5 off" },
    { attack: "openvpn_reset", pulses: SHORT, note: "0.2 s on, 0.8 off" },
    { attack: "ike_sa_init", pulses: SHORT, note: "0.2 s on, 0.8 off" },
    { attack: "udp_random", carpet: true, note: "over a prefix" },
    { attack: "dns_amplification", carpet: true, note: "over a prefix" },
  ),
];

const PORTS: Record<number, Protocol> = { 51820: "WireGuard", 1194: "OpenVPN", 500: "IPsec", 4500: "IPsec" };

/** Whose port is attacked; undefined if it is nobody's of the three. */
export const against = ({ attack, port }: Case): Protocol | undefined =>
  attack === "esp" ? "IPsec" : PORTS[port ?? attacks[attack].port];

export const nameOf = ({ letter, attack, note }: Case): string => `${letter ?? " "} ${attack}${note ? ` ${note}` : ""}`;
