import type { ChildProcess } from "node:child_process";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect, SocketAddress } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Family, type Host, ip, start, type Topology } from "./namespaces.ts";

export interface WireguardOptions {
  port?: number;
  /** What each client's tunnel runs over, in the order of the lab's clients. Left out: all of them, over IPv4. */
  clients?: Family[];
}

/** A wireguard-go server on the concentrator and one tunnel for each client, all of them up. */
export interface Wireguard {
  port: number;
  /** The server's, base64. */
  publicKey: string;
  interface: string;
  /** The server's addresses inside the tunnel. */
  address: Record<Family, string>;
  clients: WireguardClient[];
  /** The server's view of one client: endpoint as it is written in `wg show`, seconds since the epoch, bytes. */
  peer(client: WireguardClient): Promise<WireguardPeer | undefined>;
  /** Connects one more of the lab's clients and waits for its handshake. */
  connect(client: number, family?: Family, timeoutMs?: number): Promise<WireguardClient>;
  stop(): Promise<void>;
}

export interface WireguardClient {
  host: Host;
  interface: string;
  publicKey: string;
  address: Record<Family, string>;
  /** From being told its peer to the end of its first handshake. */
  connectedInMs: number;
  /**
   * Moves the live client: to another address of the lab's network (`address`), another source port (`port`) or the other
   * family (`family`). Resolves when the server has followed, which needs traffic from the client: a probe, or its keepalive.
   * The address that it leaves goes away only then, so that answers in flight still arrive.
   */
  roam(to: Roam): Promise<void>;
}

export type Roam = { address: string } | { port: number } | { family: Family };

export interface WireguardPeer {
  endpoint: string | undefined;
  lastHandshake: number;
  receivedBytes: number;
  sentBytes: number;
}

interface KeyPair {
  privateKey: string;
  publicKey: string;
}

export async function startWireguard(lab: Topology, options: WireguardOptions = {}): Promise<Wireguard> {
  const port = options.port ?? 51820;
  const server = keyPair();
  const name = `${lab.prefix}-s`;
  const processes: ChildProcess[] = [];
  const wireguard: Wireguard = {
    port,
    publicKey: base64(server.publicKey),
    interface: name,
    address: { 4: "10.200.0.1", 6: "fd99:200::1" },
    clients: [],
    peer: async (client) => (await peersOf(name)).get(hex(client.publicKey)),
    async connect(index, family = 4, timeoutMs = 10_000) {
      const client = await createClient(index, family);
      const startedAt = performance.now();
      const { host } = client;
      await configure(client.interface, [
        `public_key=${server.publicKey}`,
        `endpoint=${endpoint(lab.concentrator.address[family], port)}`,
        "allowed_ip=10.200.0.0/24",
        "allowed_ip=fd99:200::/64",
        // Set while the interface is up, it sends a first keepalive at once, hence starts the handshake.
        "persistent_keepalive_interval=25",
      ]);
      await until(`${host.namespace} to connect`, timeoutMs, async () => {
        const peer = (await peersOf(client.interface)).get(server.publicKey);
        return peer !== undefined && peer.lastHandshake > 0;
      });
      client.connectedInMs = performance.now() - startedAt;
      wireguard.clients.push(client);
      return client;
    },
    async stop() {
      await Promise.all(processes.map(end));
    },
  };

  async function createClient(index: number, family: Family): Promise<WireguardClient> {
    const host = lab.clients[index];
    if (!host) throw new Error(`the lab has no client ${index}`);
    const keys = keyPair();
    const device = `${lab.prefix}-c${index + 1}`;
    const address = { 4: `10.200.0.${11 + index}`, 6: `fd99:200::${(11 + index).toString(16)}` };
    processes.push(await startDevice(host, device, address));
    await configure(device, [`private_key=${keys.privateKey}`]);
    await configure(name, [
      `public_key=${keys.publicKey}`,
      "replace_allowed_ips=true",
      `allowed_ip=${address[4]}/32`,
      `allowed_ip=${address[6]}/128`,
    ]);
    let outside = { family, address: host.address };
    const client: WireguardClient = {
      host,
      interface: device,
      publicKey: base64(keys.publicKey),
      address,
      connectedInMs: Number.NaN,
      async roam(to) {
        const from = outside;
        outside = await move(client, from, to);
        const arrived = (endpoint: string | undefined) =>
          "port" in to
            ? endpoint?.endsWith(`:${to.port}`)
            : endpoint?.startsWith(bracketed(canonical(outside.address[outside.family])));
        await until(`the server to see ${host.namespace} at ${JSON.stringify(to)}`, 10_000, async () =>
          Boolean(arrived((await wireguard.peer(client))?.endpoint)),
        );
        const left = from.address[from.family];
        if (outside.family === from.family && outside.address[from.family] !== left) {
          await ip([`addr del ${left}/${from.family === 4 ? 24 : 64} dev eth0`], host.namespace);
        }
      },
    };
    return client;
  }

  async function move(client: WireguardClient, from: { family: Family; address: Record<Family, string> }, to: Roam) {
    const peer = [`public_key=${server.publicKey}`, "update_only=true"];
    if ("port" in to) {
      await configure(client.interface, [`listen_port=${to.port}`]);
      return from;
    }
    const family = "family" in to ? to.family : to.address.includes(":") ? 6 : 4;
    const address = { ...from.address };
    if ("address" in to) {
      address[family] = to.address;
      const [length, network] = family === 4 ? [24, "10.99.0.0/24"] : [64, "fd99::/64"];
      await ip(
        [
          // The old address stays for a moment; a preferred source makes the kernel choose the new one.
          `addr replace ${to.address}/${length} dev eth0${family === 6 ? " nodad" : ""}`,
          `route replace ${network} dev eth0 src ${to.address}`,
        ],
        client.host.namespace,
      );
    }
    // Naming the endpoint again makes wireguard-go forget the source address that it had settled on.
    await configure(client.interface, [...peer, `endpoint=${endpoint(lab.concentrator.address[family], port)}`]);
    return { family, address };
  }

  try {
    processes.push(await startDevice(lab.concentrator, name, wireguard.address));
    await configure(name, [`private_key=${server.privateKey}`, `listen_port=${port}`]);
    const families = options.clients ?? lab.clients.map(() => 4 as const);
    await Promise.all(families.map((family, index) => wireguard.connect(index, family)));
    wireguard.clients.sort((a, b) => lab.clients.indexOf(a.host) - lab.clients.indexOf(b.host));
    return wireguard;
  } catch (error) {
    await wireguard.stop();
    throw error;
  }
}

/** The public key of a running wireguard-go, in a lab that another process made. */
export async function publicKeyOf(device: string): Promise<string> {
  const answer = await ask(device, "get=1\n\n");
  const key = /^private_key=([0-9a-f]{64})$/m.exec(answer)?.[1];
  if (!key) throw new Error(`${device} has no key`);
  return base64(publicKeyFrom(key));
}

async function startDevice(host: Host, name: string, address: Record<Family, string>): Promise<ChildProcess> {
  const device = start(host.namespace, ["wireguard-go", "-f", name], {
    stdio: "ignore",
    env: { ...process.env, LOG_LEVEL: "silent", WG_PROCESS_FOREGROUND: "1" },
  });
  let failure: Error | undefined;
  device.on("error", (error) => {
    failure = error;
  });
  device.on("exit", (code) => {
    failure ??= new Error(`wireguard-go ended with ${code}: is it installed, and /dev/net/tun there?`);
  });
  await until(`wireguard-go on ${name}`, 5_000, async () => {
    if (failure) throw failure;
    return ask(name, "get=1\n\n").then(
      () => true,
      () => false,
    );
  });
  await ip(
    [
      `addr add ${address[4]}/24 dev ${name}`,
      `addr add ${address[6]}/64 dev ${name} nodad`,
      `link set ${name} mtu 1420 up`,
    ],
    host.namespace,
  );
  return device;
}

/** Sets what the lines say (https://www.wireguard.com/xplatform/), thousands of peers as well as one. */
export const configure = (device: string, lines: string[]) => ask(device, `set=1\n${lines.join("\n")}\n\n`);

/** One exchange over wireguard-go's control socket (https://www.wireguard.com/xplatform/), which costs no process. */
async function ask(device: string, request: string): Promise<string> {
  const socket = connect(`/var/run/wireguard/${device}.sock`);
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
    if (answer.endsWith("\n\n")) socket.end();
  });
  socket.write(request);
  await once(socket, "close");
  if (!/^errno=0$/m.test(answer)) throw new Error(`wireguard-go on ${device} answered ${JSON.stringify(answer)}`);
  return answer;
}

/** What the device knows of its peers, by public key in hexadecimal. */
export async function peersOf(device: string): Promise<Map<string, WireguardPeer>> {
  const answer = await ask(device, "get=1\n\n");
  const [, ...peers] = answer.split(/^public_key=/m);
  return new Map(
    peers.map((text) => {
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1];
      const peer = {
        endpoint: value("endpoint"),
        lastHandshake: Number(value("last_handshake_time_sec") ?? 0),
        receivedBytes: Number(value("rx_bytes") ?? 0),
        sentBytes: Number(value("tx_bytes") ?? 0),
      };
      return [text.slice(0, 64), peer];
    }),
  );
}

async function until(what: string, timeoutMs: number, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await delay(4);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

const bracketed = (address: string) => (address.includes(":") ? `[${address}]:` : `${address}:`);
const endpoint = (address: string, port: number) => `${bracketed(address)}${port}`;
const canonical = (address: string) =>
  new SocketAddress({ address, family: address.includes(":") ? "ipv6" : "ipv4" }).address;
const base64 = (key: string) => Buffer.from(key, "hex").toString("base64");
export const hex = (key: string) => Buffer.from(key, "base64").toString("hex");

function keyPair(): KeyPair {
  const { d, x } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return {
    privateKey: Buffer.from(d!, "base64url").toString("hex"),
    publicKey: Buffer.from(x!, "base64url").toString("hex"),
  };
}

function publicKeyFrom(privateKey: string): string {
  // PKCS #8 of an X25519 key (RFC 8410): a fixed head and the 32 bytes.
  const der = Buffer.from(`302e020100300506032b656e04220420${privateKey}`, "hex");
  const { x } = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" })).export({ format: "jwk" });
  return Buffer.from(x!, "base64url").toString("hex");
}
