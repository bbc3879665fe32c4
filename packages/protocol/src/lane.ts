import * as z from "zod/mini";

/** VPN protocols whose packets the product can tell from junk. `other` is a declared port of an unknown protocol. */
export const VPN_PROTOCOLS = [
  "wireguard",
  "openvpn",
  "ike",
  "ipsec_nat_t",
  "softether",
  "l2tp",
  "sstp",
  "other",
] as const;
export const VpnProtocol = z.enum(VPN_PROTOCOLS);
export type VpnProtocol = z.infer<typeof VpnProtocol>;

export const Transport = z.enum(["udp", "tcp"]);
export type Transport = z.infer<typeof Transport>;

/**
 * How closely packets on a port are held to the protocol's published shape. `auto` starts plain and turns `lenient` when
 * clients that the server itself answers speak otherwise (AmneziaWG, xor patches).
 */
export const Strictness = z.enum(["auto", "strict", "lenient"]);
export type Strictness = z.infer<typeof Strictness>;

export const VpnPort = z.strictObject({
  port: z.int().check(z.minimum(1), z.maximum(65535)),
  transport: Transport,
  protocol: VpnProtocol,
  strictness: z._default(Strictness, "auto"),
});
export type VpnPort = z.infer<typeof VpnPort>;

/**
 * Packet classes of a VPN port.
 * - `data`: carries an index or comes from a peer that our own server's packets have proved genuine, whatever its shape
 * - `handshake`: opens a session (WireGuard type 1, OpenVPN client hard reset, IKE_SA_INIT)
 * - `control`: continues a handshake (WireGuard 2 and 3, OpenVPN control and acknowledgement, other IKE exchanges)
 * - `unissued`: has the shape of data but nothing proves its sender
 * - `malformed`: fits no message of the protocol
 */
export const VPN_LANE_CLASSES = ["data", "handshake", "control", "unissued", "malformed"] as const;
export type VpnLaneClass = (typeof VPN_LANE_CLASSES)[number];

/**
 * Lanes of the rest of the host, by protocol.
 * `reflected`: UDP from a well-known reflector port that we never asked. `synack`: SYN-ACK that we never asked for.
 */
export const HOST_LANE_CLASSES = [
  "udp",
  "reflected",
  "fragment",
  "syn",
  "synack",
  "rst",
  "tcp",
  "icmp",
  "gre",
  "esp",
  "ah",
  "protocol",
] as const;
export type HostLaneClass = (typeof HOST_LANE_CLASSES)[number];

/** `udp:51820:malformed`, `tcp:443:data`, `host:reflected`. */
export type LaneId = `${Transport}:${number}:${VpnLaneClass}` | `host:${HostLaneClass}`;
export const LaneId = z.custom<LaneId>(
  (value) =>
    typeof value === "string" &&
    (/^(udp|tcp):\d{1,5}:(data|handshake|control|unissued|malformed)$/.test(value) ||
      (value.startsWith("host:") && (HOST_LANE_CLASSES as readonly string[]).includes(value.slice(5)))),
  "not a lane id",
);

export const vpnLane = (port: Pick<VpnPort, "port" | "transport">, cls: VpnLaneClass): LaneId =>
  `${port.transport}:${port.port}:${cls}`;
export const hostLane = (cls: HostLaneClass): LaneId => `host:${cls}`;

/** Transport and port of a VPN lane; undefined for a lane of the rest of the host. */
export function portOf(lane: LaneId): { transport: Transport; port: number } | undefined {
  const [transport, port] = lane.split(":");
  return transport === "host" ? undefined : { transport: transport as Transport, port: Number(port) };
}
