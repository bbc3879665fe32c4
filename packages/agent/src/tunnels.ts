import { execFile } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { promisify } from "node:util";
import { interfaceNames, toolEnv } from "./system.ts";

/** A peer of a WireGuard interface as the daemon or the kernel reports it; times in epoch seconds, 0: never. */
export type WireguardPeer = {
  publicKey: string;
  endpoint: { address: string; port: number } | undefined;
  latestHandshake: number;
  receivedBytes: number;
};
export type WireguardInterface = {
  name: string;
  publicKey: string | undefined;
  listenPort: number;
  peers: WireguardPeer[];
};

/** WireGuard drops a session's keys 180 s after its handshake (whitepaper 6.1): a younger one is a live tunnel. */
const SESSION_SECONDS = 180;
const SOCKET_DIR = "/var/run/wireguard";
const run = promisify(execFile);

/** Live tunnels, or null when nothing here can tell. Cheap for userspace WireGuard (its socket), one process for the kernel's. */
export async function countTunnels(nowSeconds: number): Promise<number | null> {
  const interfaces = await wireguardInterfaces();
  if (interfaces.length === 0) return null;
  return interfaces.reduce((sum, { peers }) => sum + peers.filter((peer) => isLive(peer, nowSeconds)).length, 0);
}

const isLive = (peer: WireguardPeer, nowSeconds: number) =>
  peer.latestHandshake > 0 && nowSeconds - peer.latestHandshake < SESSION_SECONDS;

/** Endpoints of peers with a live session: genuine before the agent has seen a packet of theirs. */
export async function livePeers(nowSeconds: number): Promise<{ address: string; port: number }[]> {
  const interfaces = await wireguardInterfaces();
  return interfaces.flatMap(({ peers }) =>
    peers.flatMap((peer) => (peer.endpoint && isLive(peer, nowSeconds) ? [peer.endpoint] : [])),
  );
}

/** All WireGuard interfaces of this network namespace. */
export async function wireguardInterfaces(): Promise<WireguardInterface[]> {
  const names = interfaceNames();
  const sockets = names.filter((name) => fs.existsSync(`${SOCKET_DIR}/${name}.sock`));
  const userspace = (await Promise.all(sockets.map(askSocket))).filter((found) => found !== undefined);
  const kernel = hasKernelWireguard()
    ? (await askWg()).filter(({ name }) => names.includes(name) && !sockets.includes(name))
    : [];
  return [...userspace, ...kernel];
}

/** Public key by listening port, for the mac1 check. */
export async function publicKeys(): Promise<Map<number, string>> {
  const keys = new Map<number, string>();
  for (const { name, listenPort, publicKey } of await wireguardInterfaces()) {
    const key = publicKey ?? (await askPublicKey(name));
    if (key && listenPort > 0) keys.set(listenPort, key);
  }
  return keys;
}

const hasKernelWireguard = () => fs.existsSync("/sys/module/wireguard") || fs.existsSync("/proc/sys/net/wireguard");

/** Asks wireguard-go and its kin over their socket: no process is started (WireGuard cross-platform interface). */
function askSocket(name: string): Promise<WireguardInterface | undefined> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = net.createConnection(`${SOCKET_DIR}/${name}.sock`);
    const finish = (found: WireguardInterface | undefined) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(1_000, () => finish(undefined));
    socket.on("error", () => finish(undefined));
    socket.on("connect", () => socket.write("get=1\n\n"));
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      answer += chunk;
      if (answer.endsWith("\n\n")) finish(parseUapi(name, answer));
    });
    socket.on("close", () => resolve(undefined));
  });
}

export function parseUapi(name: string, answer: string): WireguardInterface {
  const found: WireguardInterface = { name, publicKey: undefined, listenPort: 0, peers: [] };
  let peer: WireguardPeer | undefined;
  for (const line of answer.split("\n")) {
    const [key, value = ""] = line.split("=", 2);
    if (key === "public_key") {
      peer = { publicKey: value, endpoint: undefined, latestHandshake: 0, receivedBytes: 0 };
      found.peers.push(peer);
    } else if (key === "listen_port") found.listenPort = Number(value);
    else if (key === "endpoint" && peer) peer.endpoint = parseEndpoint(value);
    else if (key === "last_handshake_time_sec" && peer) peer.latestHandshake = Number(value);
    else if (key === "rx_bytes" && peer) peer.receivedBytes = Number(value);
  }
  return found;
}

async function askWg(): Promise<WireguardInterface[]> {
  try {
    const { stdout } = await run("wg", ["show", "all", "dump"], { env: toolEnv, timeout: 3_000, maxBuffer: 1 << 26 });
    return parseDump(stdout);
  } catch {
    return [];
  }
}

/** `wg show all dump`: per interface one line of five fields, per peer one of nine (wg(8)). */
export function parseDump(dump: string): WireguardInterface[] {
  const found = new Map<string, WireguardInterface>();
  for (const line of dump.split("\n")) {
    const fields = line.split("\t");
    const name = fields[0]!;
    if (fields.length === 5) found.set(name, { name, publicKey: fields[2], listenPort: Number(fields[3]), peers: [] });
    else if (fields.length === 9) {
      found.get(name)?.peers.push({
        publicKey: fields[1]!,
        endpoint: parseEndpoint(fields[3]!),
        latestHandshake: Number(fields[5]),
        receivedBytes: Number(fields[6]),
      });
    }
  }
  return [...found.values()];
}

/** `192.0.2.1:51820` or `[2001:db8::1]:51820`. */
export function parseEndpoint(text: string): { address: string; port: number } | undefined {
  const colon = text.lastIndexOf(":");
  const address = text.slice(0, Math.max(colon, 0)).replace(/^\[|\]$/g, "");
  const port = Number(text.slice(colon + 1));
  return net.isIP(address) !== 0 && port > 0 && port < 65536 ? { address, port } : undefined;
}

async function askPublicKey(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await run("wg", ["show", name, "public-key"], { env: toolEnv, timeout: 3_000 });
    return /^[A-Za-z0-9+/]{43}=$/.test(stdout.trim()) ? stdout.trim() : undefined;
  } catch {
    return undefined;
  }
}
