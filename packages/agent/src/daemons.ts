import fs from "node:fs";
import path from "node:path";
import type { Transport } from "@flowtriq/protocol/lane";
import { readBounded } from "./system.ts";

/** Programs that serve VPNs, by the name that the kernel has for their processes (at most 15 characters). */
const PROGRAMS = {
  openvpn: "openvpn",
  charon: "strongswan",
  "charon-systemd": "strongswan",
  pluto: "libreswan",
  iked: "iked",
  racoon: "racoon",
  vpnserver: "softether",
  vpnbridge: "softether",
  xl2tpd: "xl2tpd",
  "accel-pppd": "accel-ppp",
  sstpd: "sstpd",
} as const;
export type Program = (typeof PROGRAMS)[keyof typeof PROGRAMS];

export type Listener = { transport: Transport; port: number };

/** A VPN daemon of this network namespace, with the sockets that others can reach it by. */
export type Daemon = {
  pid: number;
  program: Program;
  /** Without those that only this host can reach. */
  listeners: Listener[];
  /** Paths of the Unix sockets that it listens on. */
  unixSockets: string[];
};

const MAX_DAEMONS = 64;
/** Listening sockets are opened early; a daemon may have one more for each client. */
const MAX_DESCRIPTORS = 256;
/** Of each table of sockets. In the kernel's order listening ones come first. */
const MAX_TABLE_BYTES = 1 << 20;
const MAX_COMM_BYTES = 64;

/** Looks through all processes and their sockets, some ten milliseconds. What may not be seen (another user's process) is left out. */
export function vpnDaemons(): Daemon[] {
  const found = processesOfPrograms();
  if (found.length === 0) return [];
  const here = namespaceOf("self");
  const own = found.filter(({ pid }) => here !== undefined && namespaceOf(String(pid)) === here);
  if (own.length === 0) return [];
  const tables = new Map([...listeningSockets()].map((socket) => [socket.inode, socket]));
  const unix = listeningUnixSockets();
  return own.slice(0, MAX_DAEMONS).map(({ pid, program }) => {
    const inodes = socketsOf(pid);
    const sockets = inodes.flatMap((inode) => tables.get(inode) ?? []).filter(({ loopback }) => !loopback);
    const unixSockets = inodes.flatMap((inode) => unix.get(inode) ?? []).map((file) => pathSeenBy(pid, file));
    return { pid, program, listeners: distinct(sockets), unixSockets };
  });
}

/** Which processes of VPN programs run, in any namespace: as long as it is the same, there is nothing new to find. Cheap. */
export const vpnProcesses = (): string =>
  processesOfPrograms()
    .map(({ pid, program }) => `${pid} ${program}`)
    .join(",");

/** Ports of this namespace that something listens on and others can reach, whoever it is. */
export const listeningPorts = (): Listener[] => distinct([...listeningSockets()].filter(({ loopback }) => !loopback));

/** Is this process still there? */
export const isRunning = (pid: number): boolean => fs.existsSync(`/proc/${pid}`);

/** A path as a process sees it, for this process: it may run in a container or in a changed root. */
export function pathSeenBy(pid: number, file: string): string {
  let folder = "/";
  try {
    folder = fs.readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It ended, or may not be looked at.
  }
  const absolute = path.resolve(folder, file);
  const inside = `/proc/${pid}/root${absolute}`;
  return fs.existsSync(inside) ? inside : absolute;
}

function processesOfPrograms(): { pid: number; program: Program }[] {
  const names = fs.readdirSync("/proc");
  return names.flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    const comm = commOf(name);
    return Object.hasOwn(PROGRAMS, comm) ? [{ pid, program: PROGRAMS[comm as keyof typeof PROGRAMS] }] : [];
  });
}

const COMM = Buffer.alloc(MAX_COMM_BYTES);
/** Read for every process of the machine, hence with as few system calls as there can be. */
function commOf(pid: string): string {
  let fd: number | undefined;
  try {
    fd = fs.openSync(`/proc/${pid}/comm`, "r");
    return COMM.toString("latin1", 0, fs.readSync(fd, COMM, 0, COMM.length, 0)).trimEnd();
  } catch {
    return "";
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function namespaceOf(process: string): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${process}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Inodes of a process's sockets. */
function socketsOf(pid: number): string[] {
  try {
    const descriptors = fs.readdirSync(`/proc/${pid}/fd`).slice(0, MAX_DESCRIPTORS);
    return descriptors.flatMap((descriptor) => socketInode(`/proc/${pid}/fd/${descriptor}`) ?? []);
  } catch {
    return [];
  }
}

function socketInode(link: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(link))?.[1];
  } catch {
    return undefined;
  }
}

type Socket = Listener & { inode: string; loopback: boolean };

/** State in /proc/net/udp of a socket without a fixed peer (7, TCP_CLOSE), in /proc/net/tcp of a listening one (10): proc(5). */
const TABLES = [
  ["udp", "udp", "07"],
  ["udp6", "udp", "07"],
  ["tcp", "tcp", "0A"],
  ["tcp6", "tcp", "0A"],
] as const;

function* listeningSockets(): Iterable<Socket> {
  for (const [table, transport, wanted] of TABLES) {
    for (const line of rowsOf(table)) {
      const fields = line.trim().split(/\s+/);
      const [address, hexPort] = (fields[1] ?? "").split(":");
      const port = Number.parseInt(hexPort ?? "", 16);
      if (fields[3] !== wanted || !address || !(port > 0)) continue;
      yield { transport, port, inode: fields[9] ?? "", loopback: isLoopback(address) };
    }
  }
}

/** 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104, as /proc writes them: words in the host's order, little-endian here. */
const isLoopback = (address: string) => /^([0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$/.test(address);

/** Path by inode, of Unix sockets that accept connections (flag 0x10000). */
function listeningUnixSockets(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of rowsOf("unix")) {
    const [, , , flags, , , inode, file] = line.trim().split(/\s+/);
    if (inode && file?.startsWith("/") && (Number.parseInt(flags ?? "", 16) & 0x10000) !== 0) found.set(inode, file);
  }
  return found;
}

const rowsOf = (name: string): string[] =>
  (readBounded(`/proc/net/${name}`, MAX_TABLE_BYTES)?.toString("latin1") ?? "").split("\n").slice(1);

function distinct(listeners: Listener[]): Listener[] {
  const found = new Map(listeners.map(({ transport, port }) => [`${transport}:${port}`, { transport, port }]));
  return [...found.values()].sort((a, b) => a.port - b.port);
}
