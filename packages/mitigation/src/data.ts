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
 * peer's address, and for each peer at it, leaves all others alone. What comes a second time, or has a number that no session
 * reaches, is no peer's own and costs nobody's budget.
 *
 * - `shape`: what is data, and never the same twice. Only what is within its budget is remembered, or strangers could fill the set.
 * - `away`: the start of a rule on a session whose peer is not where it was; absent where nobody is known by his session.
 */
function budgets({ shape, away, impossible = [] }: { shape: string; away?: string; impossible?: string[] }) {
  const remember = `${shape} add @data_seen { @th,96,128 }`;
  const peer = (saddr: string, n: 4 | 6) => {
    const key = `${saddr} . udp sport . udp dport`;
    const heavy = `@heavy${n} { ${key} limit rate over ${HEAVY_PPS}/second burst ${HEAVY_PPS} packets }`;
    return {
      [`peer${n}`]: [
        `${key} @heavy${n} goto :heavy${n}`,
        `update @peer_rate${n} { ${key} limit rate over ${PEER_PPS}/second burst 2000 packets } add ${heavy} drop`,
        remember,
        "accept",
      ],
      // Not refreshed: after half a minute it is measured anew.
      [`heavy${n}`]: [`add ${heavy} drop`, remember, "accept"],
    };
  };
  const roaming = `${away} limit rate over ${ROAMING_PPS}/second burst ${ROAMING_PPS * 2} packets } drop`;
  const rules = [
    ...impossible,
    `${shape} @th,96,128 @data_seen drop`,
    "ip saddr . udp sport @peer4 goto :peer4",
    "ip6 saddr . udp sport @peer6 goto :peer6",
    ...(away ? [roaming, remember] : []),
    "accept",
  ];
  const branches: Branches = { ...peer("ip saddr", 4), ...peer("ip6 saddr", 6) };
  return { rules, branches };
}

const WIREGUARD_DATA = "@th,64,32 0x04000000";
const ESP = "@th,64,32 > 255";

export const DATA_RULES: Partial<Record<VpnProtocol, { rules: string[]; branches: Branches }>> = {
  wireguard: budgets({
    shape: WIREGUARD_DATA,
    away: "update @index_rate { @th,96,32",
    // The upper half of its counter: a session lives for three minutes (whitepaper 6.1), too short for four billion packets.
    impossible: [`${WIREGUARD_DATA} @th,160,32 != 0 drop`],
  }),
  openvpn: budgets({ shape: "@th,64,5 { 6, 9 }" }),
  // Not IKE, whose messages begin alike. The SPI names a session at any port of its peer's address.
  ipsec_nat_t: budgets({ shape: ESP, away: `${ESP} update @index_rate { @th,64,32` }),
};
