import type { VpnProtocol } from "@flowtriq/protocol/lane";
import type { Branches } from "./mitigations.ts";

/** What one peer may send a second while its lane is under attack: more than 100 Mbit/s of full packets. */
const PEER_PPS = 10_000;
/** And what is left to one that sent more: its own tunnel stays up, everybody else's keeps its speed. */
const HEAVY_PPS = 100;
/** Packets a second of one index from where its peer is not known to be: it may be roaming until the server answers it there. */
const ROAMING_PPS = 100;

/**
 * Rules of an armed data lane. Every packet of it carries an index that the server issued, or comes from a peer that it has
 * answered; so a flood is somebody's own, or of somebody who saw an index on the wire. A budget for each index away from its
 * peer's address, and for each peer at it, leaves all others alone.
 */
function budgets(roaming: string[]): { rules: string[]; branches: Branches } {
  const peer = (saddr: string, n: 4 | 6) => {
    const key = `${saddr} . udp sport . udp dport`;
    const heavy = `@heavy${n} { ${key} limit rate over ${HEAVY_PPS}/second burst ${HEAVY_PPS} packets }`;
    return {
      [`peer${n}`]: [
        `${key} @heavy${n} goto :heavy${n}`,
        `update @peer_rate${n} { ${key} limit rate over ${PEER_PPS}/second burst 2000 packets } add ${heavy} drop`,
        "accept",
      ],
      // Not refreshed: after half a minute it is measured anew.
      [`heavy${n}`]: [`add ${heavy} drop`, "accept"],
    };
  };
  return {
    rules: [
      "ip saddr . udp sport @peer4 goto :peer4",
      "ip6 saddr . udp sport @peer6 goto :peer6",
      ...roaming,
      "accept",
    ],
    branches: { ...peer("ip saddr", 4), ...peer("ip6 saddr", 6) },
  };
}

export const DATA_RULES: Partial<Record<VpnProtocol, { rules: string[]; branches: Branches }>> = {
  wireguard: budgets([
    `update @index_rate { @th,96,32 limit rate over ${ROAMING_PPS}/second burst ${ROAMING_PPS * 2} packets } drop`,
  ]),
  openvpn: budgets([]),
  ipsec_nat_t: budgets([]),
};
