import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import { notPermitted, Problem } from "./problem.ts";

/** Interfaces of this network namespace, from /proc (sysfs may show another namespace's). */
export const interfaceNames = (): string[] =>
  fs
    .readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.indexOf(":")).trim())
    .filter((name) => name !== "" && name !== "lo");

/** Lines of a file of /proc; none when this kernel has no such file. */
export const lines = (path: string): string[] => {
  try {
    return fs.readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
};

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
