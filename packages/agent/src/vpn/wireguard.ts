import { execFile } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { promisify } from "node:util";
import type { SeedPeer } from "@flowtriq/mitigation/facts";
import { interfaceNames, lines, toolEnv } from "../system.ts";
import { seedPeer, type TunnelSource, Unreadable } from "./source.ts";

/** A peer of a WireGuard interface as the daemon or the kernel reports it; times in epoch seconds, 0: never. */
export type WireguardPeer = {
  publicKey: string;
  endpoint: SeedPeer | undefined;
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
const MAX_ANSWER = 1 << 26;
const run = promisify(execFile);

/** All WireGuard interfaces of this namespace. Cheap for userspace WireGuard (its socket), one process for the kernel's. */
export const wireguard: TunnelSource = {
  key: "wireguard",
  async count(nowSeconds) {
    const counts = all(
      await survey(
        (_, answer) => handshakesIn(answer).filter((at) => isLive(at, nowSeconds)).length,
        ({ peers }) => peers.filter(({ latestHandshake }) => isLive(latestHandshake, nowSeconds)).length,
      ),
    );
    return counts.length === 0 ? undefined : counts.reduce((sum, one) => sum + one, 0);
  },
  async peers(nowSeconds) {
    const interfaces = await wireguardInterfaces();
    return interfaces.flatMap(({ peers }) =>
      peers.flatMap(({ endpoint, latestHandshake }) =>
        endpoint && isLive(latestHandshake, nowSeconds) ? [endpoint] : [],
      ),
    );
  },
  close() {},
};

const isLive = (latestHandshake: number, nowSeconds: number) =>
  latestHandshake > 0 && nowSeconds - latestHandshake < SESSION_SECONDS;

/** Those WireGuard interfaces of this network namespace that can be read. */
export const wireguardInterfaces = async (): Promise<WireguardInterface[]> =>
  (await survey(parseUapi, (found) => found)).found;

type Survey<T> = { found: T[]; unread: string[] };

function all<T>({ found, unread }: Survey<T>): T[] {
  if (unread.length === 0) return found;
  throw new Unreadable(
    `WireGuard on ${unread.slice(0, 4).join(", ")} does not answer: are its daemon and wireguard-tools in order?`,
  );
}

/** Each interface as a socket's answer or the kernel's says it; `read` takes the first, `take` the second. */
async function survey<T>(
  read: (name: string, answer: string) => T,
  take: (found: WireguardInterface) => T,
): Promise<Survey<T>> {
  const names = interfaceNames();
  const sockets = names.filter((name) => fs.existsSync(`${SOCKET_DIR}/${name}.sock`));
  const answers = await Promise.all(sockets.map(askSocket));
  const userspace = answers.filter((answer) => answer !== undefined);
  const silent = sockets.filter((_, index) => answers[index] === undefined);
  const others = names.filter((name) => !sockets.includes(name));
  const kernel = hasKernelWireguard() ? await askWg() : [];
  return {
    found: [
      ...userspace.map(({ name, answer }) => read(name, answer)),
      ...(kernel ?? []).filter(({ name }) => others.includes(name)).map(take),
    ],
    unread: [...silent, ...(kernel ? [] : others.filter(isKernelWireguard))],
  };
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

const isKernelWireguard = (name: string) => lines(`/sys/class/net/${name}/uevent`).includes("DEVTYPE=wireguard");
const hasKernelWireguard = () => fs.existsSync("/sys/module/wireguard") || fs.existsSync("/proc/sys/net/wireguard");

/** Asks wireguard-go and its kin over their socket: no process is started (WireGuard cross-platform interface). */
function askSocket(name: string): Promise<{ name: string; answer: string } | undefined> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = net.createConnection(`${SOCKET_DIR}/${name}.sock`);
    const finish = (found?: { name: string; answer: string }) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(1_000, () => finish());
    socket.on("error", () => finish());
    socket.on("connect", () => socket.write("get=1\n\n"));
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      answer += chunk;
      if (answer.length > MAX_ANSWER) finish();
      else if (answer.endsWith("\n\n")) finish({ name, answer });
    });
    socket.on("close", () => resolve(undefined));
  });
}

/** Of each peer the time of its last handshake: all that is asked every other second, of thousands of peers. */
export function handshakesIn(answer: string): number[] {
  const KEY = "\nlast_handshake_time_sec=";
  const found: number[] = [];
  for (let at = answer.indexOf(KEY); at >= 0; at = answer.indexOf(KEY, at + KEY.length)) {
    found.push(Number(answer.slice(at + KEY.length, answer.indexOf("\n", at + KEY.length))));
  }
  return found;
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

async function askWg(): Promise<WireguardInterface[] | undefined> {
  try {
    const options = { env: toolEnv, timeout: 3_000, maxBuffer: MAX_ANSWER };
    return parseDump((await run("wg", ["show", "all", "dump"], options)).stdout);
  } catch {
    return undefined;
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

/**
 * `192.0.2.1:51820`, `[2001:db8::1]:51820` or `[fe80::1%eth0]:51820`. The zone of a link-local address is left out: packets do not
 * carry it, and nft refuses a whole table for it.
 */
export function parseEndpoint(text: string): SeedPeer | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]%]*)(?:%[^\]]*)?\]|([^\]%:]*)):(\d{1,5})$/.exec(text) ?? [];
  return seedPeer(bracketed ?? plain ?? "", Number(digits));
}

async function askPublicKey(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await run("wg", ["show", name, "public-key"], { env: toolEnv, timeout: 3_000 });
    return /^[A-Za-z0-9+/]{43}=$/.test(stdout.trim()) ? stdout.trim() : undefined;
  } catch {
    return undefined;
  }
}
