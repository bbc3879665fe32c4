import { type LaneId, portOf, type VpnPort } from "@flowtriq/protocol/lane";
import type { Vector } from "@flowtriq/protocol/vector";
import { classOf } from "./thresholds.ts";

const BY_CLASS: Record<string, Vector> = {
  malformed: "udp_flood",
  udp: "udp_flood",
  reflected: "udp_amplification",
  fragment: "udp_fragment_flood",
  syn: "syn_flood",
  synack: "syn_ack_reflection",
  rst: "rst_flood",
  tcp: "tcp_flood",
  icmp: "icmp_flood",
  gre: "gre_flood",
  esp: "esp_flood",
  ah: "ah_flood",
  protocol: "protocol_flood",
};

/** What an attack on this lane is called before the samples have spoken, or when they cannot. */
export function fallbackVerdict(lane: LaneId, ports: readonly VpnPort[]): Vector {
  const cls = classOf(lane);
  const port = portOf(lane);
  if (!port || cls === "malformed") return BY_CLASS[cls] ?? "protocol_flood";
  const protocol = ports.find((known) => known.port === port.port && known.transport === port.transport)?.protocol;
  const handshake = cls === "handshake" || cls === "control";
  if (port.transport === "tcp") return "tcp_flood";
  if (protocol === "wireguard") return handshake ? "wireguard_handshake_flood" : "wireguard_data_flood";
  if (protocol === "openvpn") return handshake ? "openvpn_handshake_flood" : "openvpn_data_flood";
  if (protocol === "ike" || protocol === "ipsec_nat_t") return handshake ? "ike_handshake_flood" : "esp_flood";
  return "udp_flood";
}
