import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";

/** A peer that is known to be genuine when the table is loaded, as the VPN daemons report it. `ipsec`: it also sends ESP and IKE. */
export type SeedPeer = { address: string; port: number; ipsec?: boolean };

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
  trips: (lane: LaneId) => Trip;
  seeds: SeedPeer[];
  neverBlock: string[];
};
