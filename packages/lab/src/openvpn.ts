import type { ChildProcess } from "node:child_process";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { type Family, type Host, start, type Topology } from "./namespaces.ts";

const run = promisify(execFile);

export interface OpenvpnOptions {
  port?: number;
  /** What each client's tunnel runs over, in the order of the lab's clients. Left out: all of them, over IPv4. */
  clients?: Family[];
  /** False: handshakes are not wrapped, as those of a server whose configuration says neither tls-crypt nor tls-auth. */
  tlsCrypt?: boolean;
}

/** An OpenVPN server on the concentrator (UDP, tls-crypt unless told otherwise) and one tunnel for each client, all of them up. */
export interface Openvpn {
  port: number;
  /** The server's addresses inside the tunnel. */
  address: Record<Family, string>;
  /** Version 2 (comma-separated), rewritten every second. */
  statusFile: string;
  managementSocket: string;
  clients: OpenvpnClient[];
  connect(client: number, family?: Family, timeoutMs?: number): Promise<OpenvpnClient>;
  /** Common names of the connected clients, as the status file has them. */
  connected(): string[];
  /** Ends all clients, so that they may connect anew. */
  stopClients(): Promise<void>;
  stop(): Promise<void>;
}

export interface OpenvpnClient {
  host: Host;
  name: string;
  /** From its start to the end of its login. */
  connectedInMs: number;
}

export async function startOpenvpn(lab: Topology, options: OpenvpnOptions = {}): Promise<Openvpn> {
  const port = options.port ?? 1194;
  const directory = mkdtempSync(join(tmpdir(), `${lab.prefix}-openvpn-`));
  const file = (name: string) => join(directory, name);
  const processes: ChildProcess[] = [];
  const clients: ChildProcess[] = [];
  // The certificates go with us even if nobody calls stop.
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once("exit", remove);

  const credentials = (name: string) => [
    ...["--ca", file("ca.crt"), "--cert", file(`${name}.crt`), "--key", file(`${name}.key`)],
    ...(options.tlsCrypt === false ? [] : ["--tls-crypt", file("static.key")]),
    // One line for a burst of bad packets: a flood of them would fill the log.
    ...["--verb", "1", "--mute", "3", "--disable-dco"],
  ];
  const openvpn: Openvpn = {
    port,
    address: { 4: "10.201.0.1", 6: "fd99:201::1" },
    statusFile: file("status"),
    managementSocket: file("management"),
    clients: [],
    async connect(index, family = 4, timeoutMs = 20_000) {
      const host = lab.clients[index];
      if (!host) throw new Error(`the lab has no client ${index}`);
      const name = `client${index + 1}`;
      await certificate(directory, name, "clientAuth");
      const startedAt = performance.now();
      const child = start(
        host.namespace,
        [
          ...["openvpn", "--client", "--dev", "tun-ovpn", "--dev-type", "tun", "--nobind"],
          ...["--proto", `udp${family}`, "--remote", lab.concentrator.address[family], `${port}`],
          ...["--remote-cert-tls", "server", ...credentials(name)],
        ],
        { stdio: ["ignore", "pipe", "pipe"] },
      );
      clients.push(child);
      await initialized(child, `OpenVPN of ${host.namespace}`, timeoutMs);
      const client = { host, name, connectedInMs: performance.now() - startedAt };
      openvpn.clients.push(client);
      return client;
    },
    connected: () =>
      readFileSync(openvpn.statusFile, "utf8")
        .split("\n")
        .flatMap((line) => (line.startsWith("CLIENT_LIST,") ? (line.split(",")[1] ?? []) : [])),
    async stopClients() {
      await Promise.all(clients.splice(0).map(end));
      openvpn.clients.length = 0;
    },
    async stop() {
      await Promise.all([...processes, ...clients].map(end));
      remove();
      process.off("exit", remove);
    },
  };

  try {
    await authority(directory);
    await certificate(directory, "server", "serverAuth");
    writeFileSync(file("static.key"), staticKey(), { mode: 0o600 });
    const server = start(
      lab.concentrator.namespace,
      [
        ...["openvpn", "--port", `${port}`, "--proto", "udp6", "--dev", "tun-ovpn", "--dev-type", "tun"],
        ...["--topology", "subnet", "--server", "10.201.0.0", "255.255.255.0", "--server-ipv6", "fd99:201::/64"],
        ...["--dh", "none", "--keepalive", "10", "60", "--management", openvpn.managementSocket, "unix"],
        ...["--status", openvpn.statusFile, "1", "--status-version", "2", ...credentials("server")],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    processes.push(server);
    await initialized(server, "the OpenVPN server", 10_000);
    const families = options.clients ?? lab.clients.map(() => 4 as const);
    await Promise.all(families.map((family, index) => openvpn.connect(index, family)));
    openvpn.clients.sort((a, b) => lab.clients.indexOf(a.host) - lab.clients.indexOf(b.host));
    return openvpn;
  } catch (error) {
    await openvpn.stop();
    throw error;
  }
}

/** Reads a daemon's log until it is up, and goes on reading, so that it never blocks. */
function initialized(child: ChildProcess, what: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const last: string[] = [];
    const timer = setTimeout(
      () => reject(new Error(`waited ${timeoutMs} ms for ${what}: ${last.join("\n")}`)),
      timeoutMs,
    );
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      reject(new Error(`${what} ended with ${code}: ${last.join("\n")}`));
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream! }).on("line", (line) => {
        if (last.push(line) > 10) last.shift();
        if (!line.includes("Initialization Sequence Completed")) return;
        clearTimeout(timer);
        resolve();
      });
    }
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function authority(directory: string): Promise<void> {
  await run(
    "openssl",
    ["req", "-x509", ...EC_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=lab authority"],
    { cwd: directory },
  );
}

async function certificate(directory: string, name: string, usage: "serverAuth" | "clientAuth"): Promise<void> {
  await run(
    "openssl",
    [
      ...[
        "req",
        "-x509",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        ...EC_KEY,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.crt`,
      ],
      ...["-days", "30", "-subj", `/CN=${name}`, "-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-addext", "keyUsage=digitalSignature", "-addext", `extendedKeyUsage=${usage}`],
    ],
    { cwd: directory },
  );
}

/** What `openvpn --genkey secret` writes. */
function staticKey(): string {
  const lines = randomBytes(256).toString("hex").match(/.{32}/g) ?? [];
  return ["-----BEGIN OpenVPN Static key V1-----", ...lines, "-----END OpenVPN Static key V1-----", ""].join("\n");
}
