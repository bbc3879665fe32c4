import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";

/** nft identifier of a lane: `udp:51820:malformed` -> `udp_51820_malformed`. */
export const nameOf = (lane: LaneId): string => lane.replaceAll(":", "_");

/** Counter of everything that arrives on a lane, before any drop. */
export const arrivedCounter = (lane: LaneId): string => `n_${nameOf(lane)}`;
/** Counter of what a lane's mitigation drops. */
export const droppedCounter = (lane: LaneId): string => `d_${nameOf(lane)}`;
/** Counter of what it would drop, in observe mode. */
export const observedCounter = (lane: LaneId): string => `o_${nameOf(lane)}`;
/** Set whose timed elements (the address families) arm a lane; empty means no mitigation. */
export const armedSet = (lane: LaneId): string => `a_${nameOf(lane)}`;
/** The same for counting without dropping. */
export const watchedSet = (lane: LaneId): string => `w_${nameOf(lane)}`;

/** And for first aid: what arrives above a bound is dropped before anybody has judged it. */
export const firstAidSet = (lane: LaneId): string => `f_${nameOf(lane)}`;

/** Counter of the server's own packets that only a finished handshake gets. */
export const finishedCounter = (port: Pick<VpnPort, "port" | "transport">): string => `h_${portChain(port)}`;

/** Counter of all that the server sends from a port, and of its WireGuard cookie replies. */
export const sentCounter = (port: Pick<VpnPort, "port" | "transport">): string => `s_${portChain(port)}`;
export const cookieCounter = (port: Pick<VpnPort, "port" | "transport">): string => `c_${portChain(port)}`;

export const learnChain = (port: Pick<VpnPort, "port" | "transport">): string => `learn_${portChain(port)}`;
export const portChain = (port: Pick<VpnPort, "port" | "transport">): string => `${port.transport}_${port.port}`;
/** Counter of the server's own packets that have no shape of its protocol: where there are many, clients speak so too. */
export const oddCounter = (port: Pick<VpnPort, "port" | "transport">): string => `x_${portChain(port)}`;
/** Of an armed lane's packets one in so many is looked at. */
export const LOOKED_AT_ONE_IN = 16;
/** Counter of those looked at that came from addresses of peers which once finished a handshake. */
export const metCounter = (lane: LaneId): string => `k_${nameOf(lane)}`;
