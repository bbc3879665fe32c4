import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import type { Alert, IncidentAlert } from "./alert.ts";

const VECTOR_WORDS = {
  udp_flood: "UDP flood",
  udp_fragment_flood: "UDP fragment flood",
  dns_amplification: "DNS amplification",
  ntp_amplification: "NTP amplification",
  ssdp_amplification: "SSDP amplification",
  snmp_amplification: "SNMP amplification",
  memcached_amplification: "memcached amplification",
  cldap_amplification: "CLDAP amplification",
  chargen_amplification: "CharGEN amplification",
  wsd_amplification: "WS-Discovery amplification",
  coap_amplification: "CoAP amplification",
  ike_amplification: "IKE amplification",
  openvpn_amplification: "OpenVPN amplification",
  udp_amplification: "UDP amplification",
  syn_flood: "SYN flood",
  syn_ack_reflection: "SYN-ACK reflection",
  ack_flood: "ACK flood",
  rst_flood: "RST flood",
  tcp_flood: "TCP flood",
  icmp_flood: "ICMP flood",
  gre_flood: "GRE flood",
  esp_flood: "ESP flood",
  ah_flood: "AH flood",
  protocol_flood: "IP protocol flood",
  wireguard_handshake_flood: "WireGuard handshake flood",
  wireguard_data_flood: "WireGuard data flood",
  openvpn_handshake_flood: "OpenVPN handshake flood",
  openvpn_data_flood: "OpenVPN data flood",
  ike_handshake_flood: "IKE handshake flood",
  handshake_starvation: "handshake starvation",
  multi_vector: "multi-vector attack",
  reconnect_storm: "reconnect storm",
} satisfies Record<TrafficVerdict, string>;

export const vectorWords = (vector: TrafficVerdict): string => VECTOR_WORDS[vector];

/** `udp/51820`, or `host` beside the VPN ports. */
export const targetWords = ({ incident: { target } }: IncidentAlert): string =>
  target ? `${target.transport}/${target.port}` : "host";

/** Three significant digits: `212 kpps`, `1.05 Mpps`. */
export const ppsWords = (pps: number): string => scaled(pps, ["pps", "kpps", "Mpps", "Gpps"]);
export const bpsWords = (bps: number): string => scaled(bps, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);

function scaled(value: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  // 999.5 would be written as 1000.
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${Number(rest.toFixed(digits))} ${units[unit]}`;
}

/** `850 ms`, `12 s`, `2 min 13 s`, `3 h 5 min`. */
export function durationWords(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return both(minutes, "min", seconds % 60, "s");
  return both(Math.floor(minutes / 60), "h", minutes % 60, "min");
}
const both = (a: number, unitA: string, b: number, unitB: string) =>
  b === 0 ? `${a} ${unitA}` : `${a} ${unitA} ${b} ${unitB}`;

export function mitigationWords({ incident }: IncidentAlert): string {
  if (incident.mitigatedAfterMs !== null) return `mitigated in ${durationWords(incident.mitigatedAfterMs)}`;
  if (incident.mode === "observe") return "observed only, nothing dropped";
  if (incident.endedAt) return "not mitigated";
  return incident.mode === "approve" ? "waits for approval" : "mitigation on its way";
}

export function tunnelWords({ incident: { tunnels, tunnelsBefore } }: IncidentAlert): string {
  if (tunnels === null) return "tunnels unknown";
  return tunnelsBefore === null ? `tunnels up ${tunnels}` : `tunnels up ${tunnels} of ${tunnelsBefore}`;
}

export const disconnectedWords = ({ incident: { usersDisconnected } }: IncidentAlert): string =>
  usersDisconnected === null ? "disconnected unknown" : `${usersDisconnected} disconnected`;

function happened(alert: IncidentAlert): string {
  const { vector, confidence, startedAt, endedAt } = alert.incident;
  const attack = `${vectorWords(vector)} on ${targetWords(alert)}`;
  if (endedAt) return `${attack} over after ${durationWords(endedAt.getTime() - startedAt.getTime())}`;
  if (alert.transition === "classified") return `classified as ${attack} (${Math.round(confidence * 100)} %)`;
  return alert.transition === "acknowledged" ? `${attack} acknowledged` : attack;
}

/** What a person woken at night needs, in one line of plain text. The name gives way when the line is too long. */
export function headline(alert: Alert, maxLength = 150): string {
  if (alert.about === "test")
    return shorten(
      `Test message: alerts reach ${oneLine(alert.channel.name, "this channel")}. Nothing is under attack.`,
      maxLength,
    );
  const { incident } = alert;
  const peak = ppsWords(incident.peakPps);
  const what = [
    `: ${happened(alert)}`,
    // A message that comes late, after its attack, says so too.
    incident.endedAt ? `peak ${peak}` : peak,
    mitigationWords(alert),
    tunnelWords(alert),
    disconnectedWords(alert),
  ].join(", ");
  return shorten(oneLine(alert.node.name, "unnamed node"), maxLength - what.length) + what;
}

/**
 * A name that somebody else chose, on one line: without control characters and without those that turn the reading
 * direction or take no room, with which a name could pose as another text.
 */
export function oneLine(name: string, whenEmpty: string): string {
  const line = name
    .replace(/[\u200b\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff]|\p{Cs}/gu, "")
    .replace(/[\p{Cc}\s\u2028\u2029]+/gu, " ")
    .trim();
  return line === "" ? whenEmpty : line;
}

/** At most `max` UTF-16 units, cut between characters as a person counts them. */
export function shorten(text: string, max: number): string {
  if (text.length <= max) return text;
  let kept = "";
  for (const { segment } of new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)) {
    if (kept.length + segment.length > max - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}
