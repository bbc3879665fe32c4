import os from "node:os";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { VpnPort } from "@flowtriq/protocol/lane";
import { type Daemon, type Listener, listeningPorts, type Program, vpnDaemons } from "./daemons.ts";
import { Problem } from "./problem.ts";
import { interfaceNames, lines } from "./system.ts";
import { openvpnDaemon } from "./vpn/openvpn.ts";
import { wireguardInterfaces } from "./vpn/wireguard.ts";

/** The interfaces to watch: those named, or those of the default routes. */
export function watchedInterfaces(config: AgentConfig): string[] {
  const present = interfaceNames();
  const missing = config.interfaces.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    throw new Problem(
      `no such interface: ${missing.join(", ")}`,
      `This host has ${present.join(", ") || "none but lo"}. Set "interfaces" to those that carry traffic from outside.`,
    );
  }
  if (config.interfaces.length > 0) return config.interfaces;
  const routed = [...new Set([...defaultRoutes4(), ...defaultRoutes6()])].filter((name) => present.includes(name));
  if (routed.length === 0) {
    throw new Problem(
      "no interface has a default route",
      `Set "interfaces" in the configuration. This host has ${present.join(", ") || "none but lo"}.`,
    );
  }
  return routed;
}

const defaultRoutes4 = () =>
  lines("/proc/net/route").flatMap((line) => {
    const [name, destination, , , , , , mask] = line.split("\t");
    return destination === "00000000" && mask?.trim() === "00000000" ? [name!] : [];
  });
const defaultRoutes6 = () =>
  lines("/proc/net/ipv6_route").flatMap((line) => {
    const fields = line.split(/\s+/);
    return fields[0] === "0".repeat(32) && fields[1] === "00" && fields[9] !== "lo" ? [fields[9]!] : [];
  });

const WELL_KNOWN: Record<number, VpnPort["protocol"]> = {
  51820: "wireguard",
  1194: "openvpn",
  500: "ike",
  4500: "ipsec_nat_t",
  1701: "l2tp",
};
const MAX_PORTS = 64;

/**
 * VPN ports that the host serves now, whatever their numbers: WireGuard says so itself, other daemons by the sockets of their
 * processes. Sockets whose process may not be seen are known by their well-known numbers.
 */
export async function discoverPorts(): Promise<VpnPort[]> {
  const found = new Map<string, VpnPort>();
  const propose = ({ transport, port }: Listener, protocol: VpnPort["protocol"] | undefined) => {
    const key = `${transport}:${port}`;
    if (protocol && !found.has(key)) found.set(key, VpnPort.parse({ port, transport, protocol }));
  };
  for (const { listenPort: port } of await wireguardInterfaces()) {
    if (port > 0) propose({ transport: "udp", port }, "wireguard");
  }
  const mine = new Set<string>();
  for (const daemon of vpnDaemons()) {
    for (const { transport, port } of daemon.listeners) mine.add(`${transport}:${port}`);
    for (const listener of servedBy(daemon)) propose(listener, PROTOCOLS[daemon.program](listener));
  }
  for (const listener of listeningPorts()) {
    const { transport, port } = listener;
    if (transport === "udp" && !mine.has(`udp:${port}`)) propose(listener, WELL_KNOWN[port]);
  }
  return [...found.values()].sort((a, b) => a.port - b.port).slice(0, MAX_PORTS);
}

/** OpenVPN's management is not for strangers, and what its clients are bound to is no service. */
function servedBy(daemon: Daemon): Listener[] {
  if (daemon.program !== "openvpn") return daemon.listeners;
  const { role, listeners } = openvpnDaemon(daemon);
  return role === "client" ? [] : listeners;
}

type ProtocolOf = (listener: Listener) => VpnPort["protocol"] | undefined;
const udp =
  (protocol: VpnPort["protocol"]): ProtocolOf =>
  (listener) =>
    listener.transport === "udp" ? protocol : undefined;

/** IKE has its header bare on 500 alone; on any other port four zero bytes come before it, as on 4500 (strongSwan, receiver.c). */
const ipsec: ProtocolOf = ({ transport, port }) => {
  if (transport === "tcp" || isEphemeral(port) || BESIDE_IKE.has(port)) return undefined;
  return port === 500 ? "ike" : "ipsec_nat_t";
};

/** DHCP for clients' addresses, and what a RADIUS server may order (RFC 5176). */
const BESIDE_IKE = new Set([67, 68, 3799]);

/** Which protocol a program speaks on one of its sockets. */
const PROTOCOLS: Record<Program, ProtocolOf> = {
  openvpn: () => "openvpn",
  strongswan: ipsec,
  libreswan: ipsec,
  iked: ipsec,
  racoon: ipsec,
  xl2tpd: udp("l2tp"),
  // Its TCP ports all speak SoftEther, SSTP and OpenVPN; UDP is opened for other protocols, and at random for acceleration.
  softether: ({ transport, port }) => (transport === "tcp" ? "softether" : WELL_KNOWN[port]),
  "accel-ppp": ({ transport, port }) =>
    transport === "udp" ? WELL_KNOWN[port] : ACCEL_TCP.has(port) ? ACCEL_TCP.get(port) : "sstp",
  sstpd: ({ transport }) => (transport === "tcp" ? "sstp" : undefined),
};
/** PPTP, and the two doors of its own control. */
const ACCEL_TCP = new Map<number, VpnPort["protocol"] | undefined>([
  [1723, "other"],
  [2000, undefined],
  [2001, undefined],
]);

/** Ports that the kernel gives out by itself: a client's, not a service's. */
function isEphemeral(port: number): boolean {
  const [first, last] = (lines("/proc/sys/net/ipv4/ip_local_port_range")[0] ?? "32768 60999").split(/\s+/).map(Number);
  return port >= first! && port <= last!;
}

/** Name, kernel and a stable id of this machine. */
export function machine(stateId: string): { hostname: string; kernel: string; machineId: string } {
  return {
    hostname: os.hostname().slice(0, 253),
    kernel: `${os.type()} ${os.release()}`.slice(0, 200),
    machineId: stateId,
  };
}
