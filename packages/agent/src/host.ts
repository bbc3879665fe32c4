import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { VpnPort } from "@flowtriq/protocol/lane";
import { Problem } from "./problem.ts";
import { wireguardInterfaces } from "./tunnels.ts";

/** Interfaces of this network namespace, from /proc (sysfs may show another namespace's). */
export const interfaceNames = (): string[] =>
  fs
    .readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.indexOf(":")).trim())
    .filter((name) => name !== "" && name !== "lo");

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

const lines = (path: string): string[] => {
  try {
    return fs.readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
};
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

const SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
/** Environment for the system's own tools: their directories, and answers in English. */
export const toolEnv = { PATH: `${process.env.PATH ?? ""}:${SBIN}`, LC_ALL: "C" };

/** Runs `nft` on a script. Errors become Problems that say what to do. */
export function nft(args: string[], script?: string): string {
  try {
    return execFileSync("nft", args, {
      input: script,
      env: toolEnv,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
      timeout: 15_000,
    });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === "ENOENT") throw new Problem("nft is not installed", "Install the package nftables.", 1, error);
    const said = (stderr ?? (error as Error).message).trim();
    if (/Operation not permitted/.test(said)) {
      throw new Problem(
        "not permitted to change the kernel's rules",
        "Run as root, or with CAP_NET_ADMIN and CAP_NET_RAW.",
        1,
        error,
      );
    }
    throw new Problem(`nft refused: ${said.split("\n").slice(0, 3).join(" / ")}`, "Nothing was changed.", 1, error);
  }
}

/** Name, kernel and a stable id of this machine. */
export function machine(stateId: string): { hostname: string; kernel: string; machineId: string } {
  return {
    hostname: os.hostname().slice(0, 253),
    kernel: `${os.type()} ${os.release()}`.slice(0, 200),
    machineId: stateId,
  };
}
