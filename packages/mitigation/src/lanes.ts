import {
  HOST_LANE_CLASSES,
  hostLane,
  type LaneId,
  VPN_LANE_CLASSES,
  type VpnPort,
  vpnLane,
} from "@flowtriq/protocol/lane";

/** Every lane of a host with these VPN ports, in a stable order. */
export function lanesOf(ports: VpnPort[]): LaneId[] {
  const vpn = ports.flatMap((port) =>
    port.transport === "tcp"
      ? [vpnLane(port, "data"), vpnLane(port, "unissued")]
      : VPN_LANE_CLASSES.map((cls) => vpnLane(port, cls)),
  );
  return [...vpn, ...HOST_LANE_CLASSES.map(hostLane)];
}
