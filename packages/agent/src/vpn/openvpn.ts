import fs from "node:fs";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Daemon, isRunning, type Listener, pathSeenBy } from "../daemons.ts";
import { readBounded } from "../system.ts";
import { type OpenvpnOptions, openvpnOptions, servesClients } from "./openvpn-options.ts";
import { OpenvpnStatus } from "./openvpn-status.ts";
import { type TunnelSource, Unreadable, within } from "./source.ts";

/** Where an OpenVPN server tells its clients: files and sockets as this process can open them. */
export type OpenvpnDoors = {
  status?: string;
  /** How often the server was told to write it; undefined: nobody knows. */
  statusSeconds?: number;
  management?: string;
  managementPasswordFile?: string;
};

/** Asked to write its status each second, a server with traffic does; an idle one wakes every ten seconds (OpenVPN, multi.h). */
const CURRENT_MS = 1_500;
/** A status file that is written less often than that says nothing about now. */
const FRESH_MS = 15_000;
const MAX_STATUS_SECONDS = 5;
/** Without a number behind its name (openvpn(8), --status). */
const DEFAULT_STATUS_SECONDS = 60;
/** OpenVPN writes line by line: what has just been touched may be half a report. */
const SETTLED_MS = 50;
const SETTLE_TRIES = 5;
const ANSWER_MS = 1_000;
const MAX_STATUS_BYTES = 1 << 24;
const MAX_CONFIG_BYTES = 1 << 20;
const MAX_PASSWORD_BYTES = 4_096;

/**
 * One OpenVPN server. Its status file is read if it has just been written; otherwise its management socket is asked, and only
 * then, because each question may be a line in its log.
 */
export function openvpn(name: string, doors: OpenvpnDoors, pid?: number): TunnelSource {
  const { status, statusSeconds = 1, management } = doors;
  const file = statusSeconds <= MAX_STATUS_SECONDS ? status : undefined;
  let begun = false;
  let read: { mtimeMs: number; gapMs: number; report: number } | undefined;

  /** Clients in the status file, undefined when it is older than `maxAgeMs` or no report. */
  async function countInFile(maxAgeMs: number): Promise<number | undefined> {
    if (file === undefined) return undefined;
    for (let tries = 0; tries < SETTLE_TRIES; tries++) {
      const mtimeMs = modifiedAt(file);
      const age = Date.now() - mtimeMs;
      if (!(age < maxAgeMs)) return undefined;
      if (mtimeMs === read?.mtimeMs) break;
      const report = age < SETTLED_MS ? undefined : readStatus(file);
      if (report && modifiedAt(file) === mtimeMs) {
        read = { mtimeMs, gapMs: mtimeMs - (read?.mtimeMs ?? mtimeMs), report: report.count() };
        break;
      }
      await delay(SETTLED_MS);
    }
    // A file that is written once a minute is young for some seconds, and yet tells nothing of the others.
    return read && read.gapMs < FRESH_MS ? read.report : undefined;
  }

  async function ask<T>(command: string, take: (answer: string) => T | undefined): Promise<T> {
    if (management === undefined) throw new Unreadable(advice(name, status));
    return askManagement(management, passwordOf(doors), command, take);
  }

  return {
    key: `openvpn ${pid ?? ""} ${status ?? ""} ${management ?? ""}`,
    async count() {
      if (pid !== undefined && !isRunning(pid)) throw new Unreadable(`${name} has ended`, { gone: true });
      // The first number is the one that is told at the start: it shall be of this moment.
      const current = begun ? await countInFile(CURRENT_MS) : undefined;
      begun = true;
      if (current !== undefined) return current;
      try {
        return await ask("load-stats", clientsOf);
      } catch (error) {
        // Somebody else may be at the management.
        const last = await countInFile(FRESH_MS);
        if (last === undefined) throw error;
        return last;
      }
    },
    async peers() {
      // Whoever was there a minute ago is genuine all the same.
      const report = status === undefined ? undefined : readStatus(status);
      return (report ?? (await ask("status 2", statusOf))).peers();
    },
    close() {},
  };
}

const advice = (name: string, status: string | undefined) =>
  status === undefined
    ? `${name} tells nobody its clients: give it "status FILE 1" or a management socket`
    : `The status file ${status} of ${name} is not written every second or cannot be read: give it "status FILE 1" or a management socket`;

const modifiedAt = (file: string): number => {
  try {
    return fs.statSync(file).mtimeMs;
  } catch {
    return Number.NaN;
  }
};

function readStatus(file: string): OpenvpnStatus | undefined {
  const text = readBounded(file, MAX_STATUS_BYTES);
  return text && OpenvpnStatus.read(text);
}

const passwordOf = ({ managementPasswordFile: file }: OpenvpnDoors): string | undefined =>
  file === undefined ? undefined : readBounded(file, MAX_PASSWORD_BYTES)?.toString("latin1").split(/\r?\n/)[0];

/** `SUCCESS: nclients=2,bytesin=4490,bytesout=4664`: clients that have logged in. */
const clientsOf = (answer: string): number | undefined => {
  const found = /^SUCCESS: nclients=(\d+),/m.exec(answer)?.[1];
  return found === undefined ? undefined : Number(found);
};

const statusOf = (answer: string): OpenvpnStatus | undefined => {
  const from = answer.indexOf("TITLE,");
  return from < 0 ? undefined : OpenvpnStatus.read(Buffer.from(answer.slice(from), "latin1"));
};

/**
 * One question over the management interface, and away again: OpenVPN serves one at a time, and that place is the operator's.
 * `quit` would throw away the answer that is still to be sent, so the connection is simply closed.
 */
function askManagement<T>(
  door: string,
  password: string | undefined,
  command: string,
  take: (answer: string) => T | undefined,
): Promise<T> {
  const socket = net.createConnection(endpoint(door));
  const answer = new Promise<T>((resolve, reject) => {
    let said = "";
    let [asked, authenticated] = [false, false];
    const fail = (words: string) => reject(new Unreadable(`OpenVPN's management at ${door} ${words}`));
    socket.on("error", (cause) => fail(`cannot be reached: ${cause.message}`));
    socket.on("close", () => fail("closed the connection"));
    socket.setEncoding("latin1").on("data", (text) => {
      said += text;
      if (said.length > MAX_STATUS_BYTES) return fail("does not end its answer");
      if (said.startsWith("ENTER PASSWORD:") && !authenticated) {
        if (password === undefined) return fail("wants a password: name its file in the configuration");
        authenticated = true;
        socket.write(`${password}\n`);
      } else if (/^ERROR: bad password/m.test(said)) return fail("refuses the password");
      // The greeting comes after the password; only then is a command heard.
      if (!asked && /^>INFO:/m.test(said)) {
        asked = true;
        socket.write(`${command}\n`);
      }
      const taken = take(said);
      if (taken !== undefined) resolve(taken);
    });
  });
  return within(ANSWER_MS, answer, `OpenVPN's management at ${door}`).finally(() => socket.destroy());
}

/** `/run/openvpn.sock`, `127.0.0.1:7505` or `[::1]:7505`. */
function endpoint(door: string): net.NetConnectOpts {
  if (door.startsWith("/")) return { path: door };
  const colon = door.lastIndexOf(":");
  return { host: door.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(door.slice(colon + 1)) };
}

/** `unknown`: its settings cannot be read. */
export type OpenvpnRole = "server" | "client" | "pointToPoint" | "unknown";

/** What a running OpenVPN was told: what it is, by which of its sockets strangers reach it, and where it can be asked. */
export function openvpnDaemon({ pid, listeners }: Daemon): {
  role: OpenvpnRole;
  listeners: Listener[];
  doors: OpenvpnDoors;
} {
  const argv = (readBounded(`/proc/${pid}/cmdline`, MAX_CONFIG_BYTES)?.toString() ?? "").split("\0").slice(0, -1);
  const { options, complete } = openvpnOptions(argv, (file) =>
    readBounded(pathSeenBy(pid, file), MAX_CONFIG_BYTES)?.toString(),
  );
  const management = managementOf(options, pid);
  const serves = servesClients(options);
  const role = serves ? "server" : !complete ? "unknown" : serves === false ? "client" : "pointToPoint";
  return {
    role,
    // Its management is a listener too, and none of strangers' business.
    listeners: listeners.filter(
      ({ transport, port }) => transport === "udp" || management?.endsWith(`:${port}`) !== true,
    ),
    doors: {
      status: fileOf(options.get("status")?.[0], pid),
      statusSeconds: Number(options.get("status")?.[1] ?? DEFAULT_STATUS_SECONDS),
      management,
      managementPasswordFile: fileOf(options.get("management")?.[2], pid),
    },
  };
}

const fileOf = (file: string | undefined, pid: number) => (file === undefined ? undefined : pathSeenBy(pid, file));

function managementOf(options: OpenvpnOptions, pid: number): string | undefined {
  const [address, port] = options.get("management") ?? [];
  // Where OpenVPN itself calls somebody, nobody can ask it.
  if (address === undefined || port === undefined || options.has("management-client")) return undefined;
  if (port === "unix") return pathSeenBy(pid, address);
  if (!/^\d{1,5}$/.test(port)) return undefined;
  const host = address === "localhost" ? "127.0.0.1" : address;
  if (net.isIP(host) === 0) return undefined;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
