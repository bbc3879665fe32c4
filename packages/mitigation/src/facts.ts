import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";

/** A peer that is known to be genuine when the table is loaded, as the VPN daemons report it. */
export type SeedPeer = { address: string; port: number };

/** When a lane's rate wakes the agent: a token bucket of `pps` packets a second and `burst` packets. */
export type Trip = { pps: number; burst: number };

/** What the compiler must know about the host. */
export type HostFacts = {
  /** Name of our table; data, because a brand may have its own. */
  table: string;
  interfaces: string[];
  ports: VpnPort[];
  /** The hook that sees packets first on this kernel. `ingress` needs Linux 5.10. */
  hook: "ingress" | "prerouting";
  nflogGroup: number;
  samplesPerSecond: number;
  /** NFLOG group of the traffic that is recorded in peace, for captures; absent: nothing is. */
  recordGroup?: number;
  trips: (lane: LaneId) => Trip;
  seeds: SeedPeer[];
  neverBlock: string[];
};
