import { type ChildProcess, execFile, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { promisify } from "node:util";

export type Family = 4 | 6;
export const FAMILIES = [4, 6] as const;

/** One machine of the lab: a network namespace with one interface, `eth0`. */
export interface Host {
  namespace: string;
  mac: string;
  address: Record<Family, string>;
}

/** A small internet. All its addresses are private to its own namespaces, so several labs may stand side by side. */
export interface Topology {
  prefix: string;
  /** Carries the bridge `br0`; its ports are `p-srv`, `p-atk`, `p-c1` ... */
  internet: string;
  concentrator: Host;
  /** Answers to spoofed sources are routed here and die. */
  attacker: Host;
  /** Ethernet source of generated floods, unlike the attacker's NIC: its kernel's own chatter is never counted as attack. */
  floodMac: string;
  clients: Host[];
  /** Present if asked for: a link between the concentrator and this machine, for the agent's way to the service. */
  management?: { concentrator: string; host: string; interface: string };
  /** Ends every process in the lab and removes it. May be called twice. */
  destroy(): Promise<void>;
}

export interface TopologyOptions {
  /** At most ten of a-z and 0-9. Left out: unique to this process and call. */
  prefix?: string;
  /** 0 to 99. */
  clients?: number;
  management?: boolean;
  /** Leave the lab standing when this process ends. */
  keep?: boolean;
}

export const FLOOD_MAC = "02:00:00:00:0a:7c";
const PREFIX = /^[a-z][a-z0-9]{0,9}$/;
const MAX_CLIENTS = 99;

const execFileAsync = promisify(execFile);
const standing = new Set<string>();
let made = 0;

/** A prefix that tells whose it is: base, process id, running number. `sweep(base)` uses that. */
export function uniquePrefix(base = "lab"): string {
  made += 1;
  return checked(`${base.slice(0, 4)}${process.pid.toString(36).padStart(4, "0")}${made.toString(36)}`);
}

/** Builds the lab: about 0.2 s. Whatever fails, nothing is left behind. */
export async function createTopology(options: TopologyOptions = {}): Promise<Topology> {
  const lab = layout(options.prefix ?? uniquePrefix(), options.clients ?? 2);
  const names = namespacesOf(lab);
  if ((await namespaces()).some((name) => names.includes(name))) {
    throw new Error(`a lab called ${lab.prefix} is standing already: take it down or choose another prefix`);
  }
  if (!options.keep) remember(lab.prefix);
  try {
    await ip(names.map((name) => `netns add ${name}`));
    await ip(bridgeOf(lab), lab.internet);
    await Promise.all(hostsOf(lab).map((host) => configure(host, lab)));
    if (options.management) lab.management = await connectManagement(lab);
    return lab;
  } catch (error) {
    tearDown(lab.prefix);
    throw error;
  }
}

/** A lab that another process made with `keep`. */
export async function openTopology(prefix: string): Promise<Topology> {
  const present = await namespaces();
  const clients = present.filter((name) => name.startsWith(`${checked(prefix)}-c`)).length;
  const lab = layout(prefix, clients);
  const missing = namespacesOf(lab).filter((name) => !present.includes(name));
  if (missing.length > 0) throw new Error(`no lab called ${prefix}: ${missing.join(", ")} missing`);
  return lab;
}

/** Removes what killed runs left: the lab called `base`, and unique ones of that base whose process is gone. */
export async function sweep(base: string): Promise<string[]> {
  const prefixes = new Set((await namespaces()).map((name) => name.slice(0, name.lastIndexOf("-"))));
  const removed = [...prefixes].filter((prefix) => prefix === base || isOrphan(prefix, base));
  for (const prefix of removed) tearDown(prefix);
  return removed;
}

/** Runs a program in a namespace to its end. Throws with its standard error if it fails. */
export async function run(
  namespace: string,
  argv: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const ended = execFileAsync("ip", ["netns", "exec", namespace, ...argv], {
    timeout: options.timeoutMs ?? 30_000,
    maxBuffer: 64 << 20,
  });
  feed(ended.child, options.input);
  return ended;
}

/** Starts a program in a namespace. `ip netns exec` becomes the program, so the child's pid is the program's. */
export function start(namespace: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn("ip", ["netns", "exec", namespace, ...argv], options);
}

/** Feeds lines to one `ip`, the whole of them in `namespace` if given. */
export async function ip(lines: readonly string[], namespace?: string): Promise<void> {
  if (lines.length === 0) return;
  const ended = execFileAsync("ip", [...(namespace ? ["-n", namespace] : []), "-batch", "-"]);
  feed(ended.child, `${lines.join("\n")}\n`);
  await ended;
}

/** A program that ends without reading its input is judged by its exit code, not by the broken pipe. */
function feed(child: ChildProcess, input: string | undefined): void {
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
}

export async function namespaces(): Promise<string[]> {
  const { stdout } = await execFileAsync("ip", ["netns", "list"]);
  return stdout.split("\n").flatMap((line) => line.split(" ")[0] || []);
}

const hostsOf = (lab: Topology) => [lab.concentrator, lab.attacker, ...lab.clients];
const namespacesOf = (lab: Topology) => [lab.internet, ...hostsOf(lab).map((host) => host.namespace)];
const portOf = (host: Host) => `p${host.namespace.slice(host.namespace.lastIndexOf("-"))}`;

function checked(prefix: string): string {
  if (!PREFIX.test(prefix)) throw new Error(`not a lab prefix: ${JSON.stringify(prefix)} (a-z, 0-9, at most ten)`);
  return prefix;
}

function layout(prefix: string, clients: number): Topology {
  checked(prefix);
  if (!Number.isInteger(clients) || clients < 0 || clients > MAX_CLIENTS) {
    throw new Error(`clients: 0 to ${MAX_CLIENTS}, not ${clients}`);
  }
  const host = (role: string, number: number): Host => ({
    namespace: `${prefix}-${role}`,
    mac: `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`,
    address: { 4: `10.99.0.${number}`, 6: `fd99::${number.toString(16)}` },
  });
  return {
    prefix,
    internet: `${prefix}-net`,
    concentrator: host("srv", 1),
    attacker: host("atk", 254),
    floodMac: FLOOD_MAC,
    clients: Array.from({ length: clients }, (_, index) => host(`c${index + 1}`, 11 + index)),
    async destroy() {
      tearDown(prefix);
    },
  };
}

function bridgeOf(lab: Topology): string[] {
  const ports = hostsOf(lab).flatMap((host) => {
    const port = portOf(host);
    return [
      `link add ${port} type veth peer name eth0 address ${host.mac} netns ${host.namespace}`,
      `link set ${port} master br0`,
      `link set ${port} addrgenmode none up`,
    ];
  });
  return ["link set lo up", "link add br0 type bridge stp_state 0 mcast_snooping 0", "link set br0 up", ...ports];
}

async function configure(host: Host, lab: Topology): Promise<void> {
  const { concentrator, attacker } = lab;
  const conf = (family: string, key: string, value: number) =>
    ["all", "default", "eth0"].map((name) => `net.${family}.conf.${name}.${key}=${value}`);
  await run(host.namespace, [
    ...["sysctl", "-qw"],
    ...conf("ipv4", "rp_filter", 0),
    // A client that roams loses its first address without losing the one that it moved to.
    ...conf("ipv4", "promote_secondaries", 1),
    ...conf("ipv6", "accept_dad", 0),
    ...conf("ipv6", "accept_ra", 0),
  ]);
  const other = host === attacker ? concentrator : attacker;
  const lines = [
    "link set lo up",
    `addr add ${host.address[4]}/24 dev eth0`,
    `addr add ${host.address[6]}/64 dev eth0 nodad`,
    "link set eth0 up",
    ...FAMILIES.map((family) => `neigh replace ${other.address[family]} lladdr ${other.mac} dev eth0 nud permanent`),
  ];
  if (host !== attacker) lines.push(...FAMILIES.map((family) => `route add default via ${attacker.address[family]}`));
  await ip(lines, host.namespace);
}

/** A /30 of 10.98.0.0/16, chosen by the prefix, that this machine does not use yet. */
async function connectManagement(lab: Topology): Promise<NonNullable<Topology["management"]>> {
  const { stdout } = await execFileAsync("ip", ["-4", "-o", "addr"]);
  const first = [...lab.prefix].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 16384, 7);
  for (let step = 0; step < 16384; step += 1) {
    const block = ((first + step) % 16384) * 4;
    const at = (offset: number) => `10.98.${(block + offset) >> 8}.${(block + offset) & 255}`;
    if (stdout.includes(` ${at(1)}/`)) continue;
    const name = `${lab.prefix}-m`;
    await ip([
      `link add ${name} type veth peer name mgmt0 netns ${lab.concentrator.namespace}`,
      `addr add ${at(1)}/30 dev ${name}`,
      `link set ${name} up`,
    ]);
    await ip([`addr add ${at(2)}/30 dev mgmt0`, "link set mgmt0 up"], lab.concentrator.namespace);
    return { concentrator: at(2), host: at(1), interface: name };
  }
  throw new Error("no free /30 left in 10.98.0.0/16");
}

function isOrphan(prefix: string, base: string): boolean {
  const owner = new RegExp(`^${base.slice(0, 4)}([a-z0-9]{4})[a-z0-9]{1,2}$`).exec(prefix)?.[1];
  if (!owner) return false;
  try {
    process.kill(Number.parseInt(owner, 36), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Synchronous, because it must also work while the process exits. */
function tearDown(prefix: string): void {
  const ip = (...argv: string[]) => spawnSync("ip", argv, { encoding: "utf8" }).stdout ?? "";
  const own = ip("netns", "list")
    .split("\n")
    .flatMap((line) => line.split(" ")[0] || [])
    .filter((name) => name.startsWith(`${prefix}-`));
  for (const name of own) {
    for (const pid of ip("netns", "pids", name).split("\n").filter(Boolean)) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }
  if (own.length > 0) spawnSync("ip", ["link", "del", `${prefix}-m`]);
  for (const name of own) ip("netns", "del", name);
  for (const socket of socketsOf(prefix)) rmSync(socket, { force: true });
  standing.delete(prefix);
}

/** A killed wireguard-go leaves its control socket; these live in one directory for all namespaces. */
function socketsOf(prefix: string): string[] {
  try {
    return readdirSync("/var/run/wireguard")
      .filter((name) => name.startsWith(`${prefix}-`))
      .map((name) => `/var/run/wireguard/${name}`);
  } catch {
    return [];
  }
}

function remember(prefix: string): void {
  if (standing.size === 0 && !process.listeners("exit").includes(tearDownAll)) {
    process.on("exit", tearDownAll);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, endBySignal);
  }
  standing.add(prefix);
}

function tearDownAll(): void {
  for (const prefix of standing) tearDown(prefix);
}

/** If the program handles the signal itself, its own end reaches `tearDownAll`; if not, the signal must still end it. */
function endBySignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  tearDownAll();
  process.exit(signal === "SIGINT" ? 130 : 143);
}
