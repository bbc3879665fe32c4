import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { notPermitted, Problem } from "./problem.ts";

/** Interfaces of this network namespace, from /proc (sysfs may show another namespace's). */
export const interfaceNames = (): string[] =>
  fs
    .readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.indexOf(":")).trim())
    .filter((name) => name !== "" && name !== "lo");

/** Of nice(2): below what a system's own watchdogs and journals run at. */
const NICENESS = -15;

/**
 * Has all threads of this process go before others when the processors are taken: what a VPN server must decrypt takes them whole, and
 * who ends that must not wait behind it. Where that is not permitted it runs as others do.
 */
export function goBeforeOthers(): void {
  for (const thread of fs.readdirSync("/proc/self/task")) {
    try {
      os.setPriority(Number(thread), NICENESS);
    } catch {
      // The thread has ended, or nobody gave us the right.
    }
  }
}

/** Lines of a file of /proc; none when this kernel has no such file. */
export const lines = (path: string): string[] => {
  try {
    return fs.readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
};

/**
 * The beginning of a file, at most `maxBytes`; undefined when there is no regular file to read. Paths come from other
 * processes' settings: a pipe or a device is never opened.
 */
export function readBounded(path: string, maxBytes: number): Buffer | undefined {
  let fd: number | undefined;
  try {
    if (!fs.statSync(path).isFile()) return undefined;
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    if (!fs.fstatSync(fd).isFile()) return undefined;
    return readAll(fd, maxBytes);
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Files of /proc have no size, so it is read until nothing more comes. */
function readAll(fd: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  let left = maxBytes;
  while (left > 0) {
    const chunk = Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES));
    const length = fs.readSync(fd, chunk, 0, chunk.length, null);
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
    left -= length;
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

const CHUNK_BYTES = 1 << 16;
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
    if (/Operation not permitted/.test(said)) throw notPermitted(error);
    throw new Problem(`nft refused: ${said.split("\n").slice(0, 3).join(" / ")}`, "Nothing was changed.", 1, error);
  }
}

const TOOL_MS = 5_000;

/** What a tool of the system prints, or undefined when it is not installed. One that fails has printed nothing. */
export function tool(name: string, args: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(name, args, { env: toolEnv, encoding: "utf8", timeout: TOOL_MS }, (error, stdout) => {
      resolve(error && (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : stdout);
    });
  });
}
