import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import {
  type ConnectOptions,
  CrowdCommand,
  CrowdReport,
  type CrowdRequest,
  type DataOptions,
  MAX_CLIENTS,
  type Outcome,
} from "./crowd/request.ts";
import { bunPath } from "./flood.ts";
import { type Host, ip, run, start, type Topology } from "./namespaces.ts";
import { configure, hex, peersOf, type Wireguard } from "./wireguard.ts";

export type { ConnectOptions, DataOptions, Outcome } from "./crowd/request.ts";

const CrowdOptions = z.strictObject({
  clients: z.number().int().min(1).max(MAX_CLIENTS),
  family: z.literal([4, 6]).default(4),
  /**
   * Where they are: all behind one address, as a carrier's NAT has them (the default); each with an address of its own in a distant
   * network (IPv6: a /48); or, of IPv6, with addresses of one /64, or a /64 each in one /48.
   */
  sources: z.enum(["one_address", "own_address", "one_64", "one_48"]).default("one_address"),
});
export type CrowdOptions = z.input<typeof CrowdOptions>;

export interface Crowd {
  publicKeys: string[];
  /** A new handshake of every client. Resolves when each has finished or given up. */
  connect(options?: ConnectOptions): Promise<Outcome[]>;
  /** All sockets are closed, and others opened on new ports: the NAT that they are behind was started anew. */
  rebind(): Promise<void>;
  /** Steady data from each, and how much of it the server has taken as genuine. Nobody may connect meanwhile. */
  data(options: DataOptions): Promise<{ sent: number; accepted: number }>;
  /** The initiations that the server took last, base64: what a sniffer could replay. */
  initiations(): Promise<string[]>;
  /** Ends the clients and takes their keys from the server. */
  stop(): Promise<void>;
}

/**
 * Genuine WireGuard clients, each with a key and a port of its own, in one process in `host`'s namespace, all of them peers of the running
 * server. They cost a socket each and a millisecond for each handshake. They carry data, but are no interfaces: nothing can
 * be routed through them. Resolves when they are ready to connect; ends by itself, also when this process dies.
 */
export async function startCrowd(
  lab: Topology,
  wireguard: Wireguard,
  host: Host,
  options: CrowdOptions,
): Promise<Crowd> {
  const parsed = CrowdOptions.parse(options);
  const request: CrowdRequest = {
    serverPublicKey: wireguard.publicKey,
    server: { address: lab.concentrator.address[parsed.family], port: wireguard.port },
    addresses: await addressesOf(lab, host, parsed),
  };
  const main = fileURLToPath(new URL("./crowd/main.ts", import.meta.url));
  const child = start(host.namespace, [bunPath(), main], { stdio: "pipe" });
  child.stdin?.on("error", () => {});
  let problem = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    problem = (problem + text).slice(-2000);
  });

  const answers = new Map<number, { resolve(report: CrowdReport): void; reject(error: Error): void }>();
  const answer = (id: number) =>
    new Promise<CrowdReport>((resolve, reject) => {
      answers.set(id, { resolve, reject });
    });
  const fail = (error: Error) => {
    for (const { reject } of answers.values()) reject(error);
    answers.clear();
  };
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const report = CrowdReport.parse(JSON.parse(line));
    const id = report.event === "ready" ? READY : report.id;
    const { resolve, reject } = answers.get(id)!;
    answers.delete(id);
    if (report.event === "refused") reject(new Error(report.reason));
    else resolve(report);
  });
  const ended = new Promise<void>((resolve) => {
    child.on("error", fail);
    child.on("close", (code, signal) => {
      fail(new Error(`the crowd's process ended with ${code ?? signal}: ${problem.trim()}`));
      resolve();
    });
  });

  const ready = answer(READY);
  child.stdin?.write(`${JSON.stringify(request)}\n`);
  const { publicKeys } = expected("ready", await ready);
  const ids = publicKeys.map(hex);
  await configure(
    wireguard.interface,
    ids.flatMap((id, number) => [`public_key=${id}`, `allowed_ip=fd99:200:c::${(number + 1).toString(16)}/128`]),
  );

  let asked = READY;
  async function ask<E extends CrowdReport["event"]>(event: E, command: Asked) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("this crowd has gone home");
    asked += 1;
    const parsed = CrowdCommand.parse({ id: asked, ...command });
    const answered = answer(parsed.id);
    child.stdin?.write(`${JSON.stringify(parsed)}\n`);
    return expected(event, await answered);
  }
  const received = async () => {
    const peers = await peersOf(wireguard.interface);
    return ids.reduce((sum, id) => sum + (peers.get(id)?.receivedBytes ?? 0), 0);
  };

  return {
    publicKeys,
    connect: async (how = {}) => (await ask("connected", { do: "connect", ...how })).outcomes,
    rebind: async () => void (await ask("rebound", { do: "rebind" })),
    async data(how) {
      // The keepalives that confirmed the handshakes may still be on their way.
      const before = await settled(received);
      const { sent, packetBytes } = await ask("data", { do: "data", ...how });
      const bytes = (await settled(received, before + sent * packetBytes)) - before;
      return { sent, accepted: sent > 0 ? bytes / packetBytes : 0 };
    },
    initiations: async () => (await ask("initiations", { do: "initiations" })).messages,
    async stop() {
      child.stdin?.end();
      await ended;
      await configure(
        wireguard.interface,
        ids.flatMap((id) => [`public_key=${id}`, "remove=true"]),
      );
    },
  };
}

const READY = 0;
type Without<T> = T extends unknown ? Omit<T, "id"> : never;
type Asked = Without<z.input<typeof CrowdCommand>>;

function expected<E extends CrowdReport["event"]>(event: E, report: CrowdReport) {
  if (report.event !== event) throw new Error(`the crowd's process answered ${report.event} instead of ${event}`);
  return report as Extract<CrowdReport, { event: E }>;
}

/** A counter once it has come to `goal`, or has not risen for a third of a second. */
async function settled(read: () => Promise<number>, goal = Number.POSITIVE_INFINITY): Promise<number> {
  let last = await read();
  for (let still = 0; last < goal && still < 3; ) {
    await delay(100);
    const now = await read();
    still = now === last ? still + 1 : 0;
    last = now;
  }
  return last;
}

/** One address for each client, and the routes that they need in `host` and on the concentrator. */
async function addressesOf(
  lab: Topology,
  host: Host,
  { clients, family, sources }: z.infer<typeof CrowdOptions>,
): Promise<string[]> {
  if (sources === "one_address") return Array<string>(clients).fill(host.address[family]);
  const numbers = Array.from({ length: clients }, (_, index) => index + 1);
  const own = Number(host.address[4].split(".")[3]);
  // Public addresses, as clients have them: private ones count as made up. Nothing leaves the lab.
  if (family === 4) {
    if (sources !== "own_address") throw new Error(`${sources} is for IPv6`);
    const network = `81.${own}.0.0/16`;
    await ip([`route replace local ${network} dev lo`], host.namespace);
    await ip([`route replace ${network} via ${host.address[4]}`], lab.concentrator.namespace);
    return numbers.map((number) => `81.${own}.${number >> 8}.${number & 255}`);
  }
  const prefix = `2a05:${own.toString(16)}`;
  // A local route makes a whole prefix the host's own; IPv6 lets a socket have such an address only when it is told to.
  await run(host.namespace, ["sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1"]);
  await ip([`route replace local ${prefix}::/32 dev lo`], host.namespace);
  await ip([`route replace ${prefix}::/32 via ${host.address[6]}`], lab.concentrator.namespace);
  const form = {
    own_address: (number: string) => `${prefix}:${number}::1`,
    one_48: (number: string) => `${prefix}:0:${number}::1`,
    one_64: (number: string) => `${prefix}::${number}`,
  }[sources];
  return numbers.map((number) => form(number.toString(16)));
}
