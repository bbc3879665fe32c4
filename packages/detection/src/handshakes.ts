import { type LaneId, portOf, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import { portFor } from "./lanes.ts";
import type { Counts } from "./readings.ts";

/** What a VPN server has been asked, and what it has answered. Undefined fields: this kernel's table does not count them. */
export type Handshakes = {
  opened: number;
  finished: number;
  sent: number | undefined;
  cookies: number | undefined;
  known: number | undefined;
};

/**
 * The ports that one server's handshakes go over: IKE begins on 500 and behind a NAT goes on over 4500 (RFC 7296 2.23), so the
 * answer to what came in at one is counted at the other.
 */
export function portsOfServer(lane: LaneId, ports: readonly VpnPort[]): VpnPort[] {
  const here = portOf(lane);
  const port = here && portFor(here.port, here.transport, ports);
  if (!port) return [];
  return isIpsec(port) ? ports.filter(isIpsec) : [port];
}

const isIpsec = ({ protocol }: VpnPort) => protocol === "ike" || protocol === "ipsec_nat_t";

/** Cumulative; undefined where the lane is not counted. `opened` and `known` are the lane's own, answers those of its server. */
export function handshakesOf(counts: Counts, lane: LaneId, ports: readonly VpnPort[]): Handshakes | undefined {
  const own = counts.get(lane);
  if (!own) return undefined;
  const found: Handshakes = { opened: own.packets, finished: 0, sent: 0, cookies: 0, known: own.known };
  for (const port of ports) {
    const count = counts.get(vpnLane(port, "handshake"));
    if (!count) continue;
    found.finished += count.finished;
    found.sent = plus(found.sent, count.sent);
    found.cookies = plus(found.cookies, count.cookies);
  }
  return found;
}

const plus = (sum: number | undefined, more: number | undefined) =>
  sum === undefined || more === undefined ? undefined : sum + more;
