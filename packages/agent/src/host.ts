import os from "node:os";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { VpnPort } from "@flowtriq/protocol/lane";
import { Problem } from "./problem.ts";
import { interfaceNames, lines } from "./system.ts";
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

/** VPN ports that the host serves now: WireGuard says so itself, others by their well-known sockets. */
export async function discoverPorts(): Promise<VpnPort[]> {
  const found = new Map<number, VpnPort>();
  for (const { listenPort } of await wireguardInterfaces()) {
    if (listenPort > 0)
      found.set(listenPort, VpnPort.parse({ port: listenPort, transport: "udp", protocol: "wireguard" }));
  }
  for (const port of listeningUdp()) {
    const protocol = WELL_KNOWN[port];
    if (protocol && !found.has(port)) found.set(port, VpnPort.parse({ port, transport: "udp", protocol }));
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}

const listeningUdp = (): number[] =>
  ["/proc/net/udp", "/proc/net/udp6"].flatMap((path) =>
    lines(path)
      .slice(1)
      .map((line) => Number.parseInt(line.trim().split(/\s+/)[1]?.split(":")[1] ?? "0", 16)),
  );

/** Name, kernel and a stable id of this machine. */
export function machine(stateId: string): { hostname: string; kernel: string; machineId: string } {
  return {
    hostname: os.hostname().slice(0, 253),
    kernel: `${os.type()} ${os.release()}`.slice(0, 200),
    machineId: stateId,
  };
}
