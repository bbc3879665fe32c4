import { type LaneId, portOf } from "@flowtriq/protocol/lane";
import type { Mode } from "@flowtriq/protocol/policy";
import type { Severity } from "@flowtriq/protocol/vector";
import { vectorWords } from "@flowtriq/services/alert/words";

export { vectorWords };

export const PROTOCOL_WORDS: Record<string, string> = {
  wireguard: "WireGuard",
  openvpn: "OpenVPN",
  ike: "IKE",
  ipsec_nat_t: "IPsec NAT-T",
  softether: "SoftEther",
  l2tp: "L2TP",
  sstp: "SSTP",
};

type Target = { port: number | null; transport: "udp" | "tcp" | null; protocol?: string | null };

/** "WireGuard 51820", "UDP 51820", or "the host" beside the VPN ports. */
export function targetWords({ port, transport, protocol }: Target): string {
  if (port === null) return "the host";
  return `${PROTOCOL_WORDS[protocol ?? ""] ?? (transport ?? "port").toUpperCase()} ${port}`;
}

const CLASS_WORDS: Record<string, string> = {
  data: "proven data",
  handshake: "handshakes",
  control: "control",
  unissued: "unproven data",
  malformed: "malformed",
  reflected: "reflected UDP",
  fragment: "fragments",
  syn: "TCP SYN",
  synack: "unasked SYN-ACK",
  rst: "TCP RST",
  tcp: "other TCP",
  udp: "other UDP",
  icmp: "ICMP",
  gre: "GRE",
  esp: "ESP",
  ah: "AH",
  protocol: "other protocols",
};

/** "51820 malformed", "host, reflected UDP" */
export function laneWords(lane: LaneId): string {
  const cls = lane.slice(lane.lastIndexOf(":") + 1);
  const at = portOf(lane);
  return at ? `${at.transport}/${at.port} ${CLASS_WORDS[cls] ?? cls}` : `Host, ${CLASS_WORDS[cls] ?? cls}`;
}

export const MODE_WORDS: Record<Mode, string> = { observe: "Observe", approve: "Approve", enforce: "Enforce" };

export const SEVERITY_WORDS: Record<Severity, string> = { low: "Low", medium: "Medium", high: "High" };

/** Moments of an incident that channels are told of. */
export const TRANSITION_WORDS = {
  opened: "Attack begun",
  classified: "Classified",
  ended: "Attack over",
  acknowledged: "Acknowledged",
} as const;
