import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";

/** nft identifier of a lane: `udp:51820:malformed` -> `udp_51820_malformed`. */
export const nameOf = (lane: LaneId): string => lane.replaceAll(":", "_");

/** Counter of everything that arrives on a lane, before any drop. */
export const arrivedCounter = (lane: LaneId): string => `n_${nameOf(lane)}`;
/** Counter of what a lane's mitigation drops. */
export const droppedCounter = (lane: LaneId): string => `d_${nameOf(lane)}`;
/** Counter of what it would drop, in observe mode. */
export const observedCounter = (lane: LaneId): string => `o_${nameOf(lane)}`;
/** Map whose timed elements send the packets of an address family into a lane's mitigation; empty means none. */
export const leaseMap = (lane: LaneId): string => `v_${nameOf(lane)}`;
/** The same behind connection tracking, of the lanes that are judged there. */
export const lateLeaseMap = (lane: LaneId): string => `t_${nameOf(lane)}`;
/** The chain that drops on a lane, or counts what it would drop, or passes it on to where connections are tracked. */
export const mitigationChain = (lane: LaneId, kind: "drop" | "observe" | "pass"): string =>
  `${{ drop: "m", observe: "o", pass: "q" }[kind]}_${nameOf(lane)}`;

/** And for first aid: what arrives above a bound is dropped before anybody has judged it. */
export const firstAidSet = (lane: LaneId): string => `f_${nameOf(lane)}`;

/** Counter of the server's own packets that only a finished handshake gets. */
export const finishedCounter = (port: Pick<VpnPort, "port" | "transport">): string => `h_${portChain(port)}`;

/** Counter of all that the server sends from a port, and of its WireGuard cookie replies. */
export const sentCounter = (port: Pick<VpnPort, "port" | "transport">): string => `s_${portChain(port)}`;
export const cookieCounter = (port: Pick<VpnPort, "port" | "transport">): string => `c_${portChain(port)}`;

export const learnChain = (port: Pick<VpnPort, "port" | "transport">): string => `learn_${portChain(port)}`;
export const portChain = (port: Pick<VpnPort, "port" | "transport">): string => `${port.transport}_${port.port}`;
/** The chain of a port whose strangers are dropped, and of one whose sessions are held to budgets. */
export const siegeChain = (port: Pick<VpnPort, "port" | "transport">): string => `siege_${portChain(port)}`;
export const budgetChain = (port: Pick<VpnPort, "port" | "transport">): string => `budget_${portChain(port)}`;
/** The chain that asks who sent what is no message of the port's protocol. */
export const oddChain = (port: Pick<VpnPort, "port" | "transport">): string => `odd_${portChain(port)}`;
/** Map from a UDP port to its chain; under attack the element is a lease too. */
export const PORT_MAP = "ports";
/** Counter of the server's own packets that have no shape of its protocol: where there are many, clients speak so too. */
export const oddCounter = (port: Pick<VpnPort, "port" | "transport">): string => `x_${portChain(port)}`;
/** Counter of known peers' packets that have no shape of the protocol, though the server speaks it plainly. */
export const variantCounter = (port: Pick<VpnPort, "port" | "transport">): string => `y_${portChain(port)}`;
/** Counter of the handshakes that come from known peers, while no rules stand. */
export const knownCounter = (lane: LaneId): string => `p_${nameOf(lane)}`;
/** Of an armed lane's packets one in so many is looked at. */
export const LOOKED_AT_ONE_IN = 16;
/** Counter of those looked at that came from addresses of peers which once finished a handshake. */
export const metCounter = (lane: LaneId): string => `k_${nameOf(lane)}`;
