import * as z from "zod/mini";

/** Kinds of attack, by the names used everywhere: events, API, database, pages. */
export const VECTORS = [
  "udp_flood",
  "udp_fragment_flood",
  "dns_amplification",
  "ntp_amplification",
  "ssdp_amplification",
  "snmp_amplification",
  "memcached_amplification",
  "cldap_amplification",
  "chargen_amplification",
  "wsd_amplification",
  "coap_amplification",
  "ike_amplification",
  "openvpn_amplification",
  "udp_amplification",
  "syn_flood",
  "syn_ack_reflection",
  "ack_flood",
  "rst_flood",
  "tcp_flood",
  "icmp_flood",
  "gre_flood",
  "esp_flood",
  "ah_flood",
  "protocol_flood",
  "wireguard_handshake_flood",
  "wireguard_data_flood",
  "openvpn_handshake_flood",
  "openvpn_data_flood",
  "ike_handshake_flood",
  "handshake_starvation",
  "multi_vector",
] as const;

export const Vector = z.enum(VECTORS);
export type Vector = z.infer<typeof Vector>;

/** What a rate trip may turn out to be: an attack, or a crowd of genuine clients coming back at once. */
export const TrafficVerdict = z.enum([...VECTORS, "reconnect_storm"]);
export type TrafficVerdict = z.infer<typeof TrafficVerdict>;

/** RFC 9244 severity. */
export const SEVERITIES = ["low", "medium", "high"] as const;
export const Severity = z.enum(SEVERITIES);
export type Severity = z.infer<typeof Severity>;
