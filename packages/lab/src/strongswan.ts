import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Family, type Host, ip, run, start, type Topology } from "./namespaces.ts";

export interface StrongswanOptions {
  /** What each client's tunnels run over, in the order of the lab's clients. Left out: all of them, over IPv4. */
  clients?: Family[];
  /** IKE associations of each client, each with an identity and inner addresses of its own: many users behind one address. */
  tunnelsPerClient?: number;
}

/** A strongSwan server on the concentrator (IKEv2, ESP in UDP) and the tunnels of each client, all of them up. */
export interface Strongswan {
  port: number;
  natPort: number;
  /** The server's addresses inside the tunnels. */
  address: Record<Family, string>;
  /** The server's control socket (vici). */
  viciSocket: string;
  clients: StrongswanClient[];
  /** Starts one more of the lab's clients and waits until its tunnels are up. */
  connect(client: number, family?: Family, timeoutMs?: number): Promise<StrongswanClient>;
  /** Identities with an established IKE association, as the server lists them; one for each tunnel. */
  connected(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface StrongswanClient {
  host: Host;
  /** One for each tunnel. */
  identities: string[];
  /** From the first packet to the last of its tunnels being up. */
  connectedInMs: number;
  /** Ends its tunnels in an orderly way: the server is told. */
  disconnect(): Promise<void>;
}

/** What one charon is given: a directory of its own, hence its own control socket. */
interface Daemon {
  control(...argv: string[]): Promise<string>;
  viciSocket: string;
}

const PORT = 500;
const NAT_PORT = 4500;
const SERVER_ID = "server@lab.test";
const ADDRESS = { 4: "10.202.0.1", 6: "fd99:202::1" };
const MAX_TUNNELS_PER_CLIENT = 50;
/** What the server and its clients agree on: the cheapest that is sound. */
const IKE_PROPOSAL = "aes128-sha256-curve25519";
const ESP_PROPOSAL = "aes128gcm16";

export async function startStrongswan(lab: Topology, options: StrongswanOptions = {}): Promise<Strongswan> {
  const tunnels = options.tunnelsPerClient ?? 1;
  if (!Number.isInteger(tunnels) || tunnels < 1 || tunnels > MAX_TUNNELS_PER_CLIENT) {
    throw new Error(`tunnelsPerClient: 1 to ${MAX_TUNNELS_PER_CLIENT}, not ${tunnels}`);
  }
  const directory = mkdtempSync(join(tmpdir(), `${lab.prefix}-strongswan-`));
  const processes: ChildProcess[] = [];
  const secret = randomBytes(24).toString("base64url");
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once("exit", remove);

  async function launch(host: Host, name: string, configuration: string): Promise<Daemon> {
    const own = join(directory, name);
    mkdirSync(own, { mode: 0o700 });
    const viciSocket = join(own, "vici");
    const env = { ...process.env, STRONGSWAN_CONF: join(own, "strongswan.conf"), SWANCTL_DIR: own };
    writeFileSync(env.STRONGSWAN_CONF, settings(viciSocket));
    writeFileSync(join(own, "swanctl.conf"), `${configuration}\n${secrets(secret)}\n`, { mode: 0o600 });
    const charon = start(host.namespace, ["charon-systemd"], { stdio: ["ignore", "ignore", "pipe"], env });
    processes.push(charon);
    await listening(charon, viciSocket, `strongSwan of ${host.namespace}`);
    // As a program of its own, because it is swanctl that reads configuration files, not the daemon.
    const control = async (...argv: string[]) =>
      (await run(host.namespace, ["env", `SWANCTL_DIR=${own}`, "swanctl", ...argv, "--uri", `unix://${viciSocket}`]))
        .stdout;
    await control("--load-all", "--noprompt");
    return { control, viciSocket };
  }

  let server: Daemon | undefined;
  const strongswan: Strongswan = {
    port: PORT,
    natPort: NAT_PORT,
    address: ADDRESS,
    viciSocket: join(directory, "server", "vici"),
    clients: [],
    async connect(index, family = 4, timeoutMs = 30_000) {
      const host = lab.clients[index];
      if (!host) throw new Error(`the lab has no client ${index}`);
      const identities = Array.from({ length: tunnels }, (_, tunnel) => `client${index + 1}-${tunnel + 1}@lab.test`);
      const remote = lab.concentrator.address[family];
      const client = await launch(host, `client${index + 1}`, clientConnections(identities, remote));
      const startedAt = performance.now();
      for (const [tunnel] of identities.entries()) {
        await client.control("--initiate", "--child", `net${tunnel + 1}`, "--timeout", `${timeoutMs / 1000}`);
      }
      const connected: StrongswanClient = {
        host,
        identities,
        connectedInMs: performance.now() - startedAt,
        async disconnect() {
          for (const [tunnel] of identities.entries()) await client.control("--terminate", "--ike", `lab${tunnel + 1}`);
        },
      };
      strongswan.clients.push(connected);
      return connected;
    },
    async connected() {
      const list = (await server?.control("--list-sas")) ?? "";
      return [...list.matchAll(/ESTABLISHED, IKEv2[\s\S]*?remote '([^']+)'/g)].map((found) => found[1]!);
    },
    async stop() {
      await Promise.all(processes.map(end));
      remove();
      process.off("exit", remove);
    },
  };

  try {
    await ip(
      [`addr replace ${ADDRESS[4]}/32 dev lo`, `addr replace ${ADDRESS[6]}/128 dev lo`],
      lab.concentrator.namespace,
    );
    server = await launch(lab.concentrator, "server", SERVER_CONNECTION);
    const families = options.clients ?? lab.clients.map(() => 4 as const);
    await Promise.all(families.map((family, index) => strongswan.connect(index, family)));
    strongswan.clients.sort((a, b) => lab.clients.indexOf(a.host) - lab.clients.indexOf(b.host));
    return strongswan;
  } catch (error) {
    await strongswan.stop();
    throw error;
  }
}

/**
 * strongswan.conf: ESP is done by the daemon itself (kernel-libipsec), because this kernel may have none, and its log says
 * little, because a flood of handshakes would fill the disk.
 */
const settings = (viciSocket: string) => `charon-systemd {
  load = random nonce openssl hmac kdf kernel-libipsec kernel-netlink socket-default vici
  journal {
    default = -1
  }
  filelog {
    main {
      path = stderr
      default = 0
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://${viciSocket}
    }
    kernel-libipsec {
      load = yes
    }
  }
}
`;

/** One pre-shared key for everybody: identities tell the clients apart. */
const secrets = (secret: string) => `secrets { ike-lab { secret = "${secret}" } }`;

const SERVER_CONNECTION = `connections {
  lab {
    version = 2
    encap = yes
    pools = inner4, inner6
    proposals = ${IKE_PROPOSAL}
    local { auth = psk
      id = ${SERVER_ID} }
    remote { auth = psk }
    children { net { local_ts = ${ADDRESS[4]}/32, ${ADDRESS[6]}/128
      esp_proposals = ${ESP_PROPOSAL} } }
  }
}
pools {
  inner4 { addrs = 10.202.1.0/24 }
  inner6 { addrs = fd99:202::1:0/112 }
}`;

function clientConnections(identities: string[], remote: string): string {
  const connections = identities.map(
    (identity, tunnel) => `  lab${tunnel + 1} {
    version = 2
    encap = yes
    remote_addrs = ${remote}
    vips = 0.0.0.0, ::
    proposals = ${IKE_PROPOSAL}
    local { auth = psk
      id = ${identity} }
    remote { auth = psk
      id = ${SERVER_ID} }
    children { net${tunnel + 1} { remote_ts = ${ADDRESS[4]}/32, ${ADDRESS[6]}/128
      esp_proposals = ${ESP_PROPOSAL} } }
  }`,
  );
  return `connections {\n${connections.join("\n")}\n}`;
}

/** Waits for a daemon's control socket, and goes on reading what it says, so that it never blocks. */
async function listening(child: ChildProcess, socket: string, what: string, timeoutMs = 10_000): Promise<void> {
  let said = "";
  let failure: Error | undefined;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  child.on("error", (error) => {
    failure = error;
  });
  child.on("close", (code) => {
    failure ??= new Error(`${what} ended with ${code}: is it installed, and /dev/net/tun there? ${said.trim()}`);
  });
  const deadline = performance.now() + timeoutMs;
  while (!existsSync(socket)) {
    if (failure) throw failure;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}: ${said.trim()}`);
    await delay(10);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}
