import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";

/** A peer that is known to be genuine when the table is loaded, as the VPN daemons report it. `ipsec`: it also sends ESP and IKE. */
export type SeedPeer = { address: string; port: number; ipsec?: boolean };

/** A TCP connection of the host itself that stands when the table is loaded. */
export type Connection = { address: string; port: number; localPort: number };

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
  /** So much arrives in peace that only a part of it is looked at for the record. */
  busy: boolean;
  trips: (lane: LaneId) => Trip;
  seeds: SeedPeer[];
  connections: Connection[];
  neverBlock: string[];
  /** Addresses of the host's own interfaces. What is not for them is somebody else's. */
  localAddresses: string[];
  /** UDP ports, VPN ports apart, on which a process of the host waits for strangers. */
  listeningUdp: number[];
  /** True where the host tracks connections anyway (NAT, a stateful firewall): then what belongs to none can be told. */
  conntrack: boolean;
  /** True: packets of VPN ports go past connection tracking. The operator's choice: a rule that asks for their state would miss them. */
  notrack: boolean;
  /** How many strangers are remembered between two tries: `greylistSize`. */
  greylist: number;
};

/** A host of which nothing more is known: nobody is connected, nothing else runs. */
export const BARE_HOST = {
  busy: false,
  seeds: [],
  connections: [],
  neverBlock: [],
  localAddresses: [],
  listeningUdp: [],
  conntrack: false,
  notrack: false,
  greylist: 65_536,
} satisfies Partial<HostFacts>;
