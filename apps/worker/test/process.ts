import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const BUILD = fileURLToPath(new URL("../build.mjs", import.meta.url));
export const SECRET = "a secret for tests, of at least 32 characters";

export interface Built {
  file: string;
  remove(): Promise<void>;
}

/** The worker as it is deployed: one file. */
export async function buildWorker(): Promise<Built> {
  const dir = await mkdtemp(join(tmpdir(), "worker-"));
  const file = join(dir, "main.mjs");
  await promisify(execFile)(process.execPath, [BUILD, file]);
  return { file, remove: () => rm(dir, { recursive: true, force: true }) };
}

export interface WorkerProcess {
  /** Where it serves /healthz. */
  url: string;
  /** All it has logged. */
  lines: readonly string[];
  /** Ends it and gives its exit code; null when the signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Resolves when it says that it is ready. */
export async function startProcess({ file }: Built, env: Record<string, string>): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, APP_SECRET: SECRET, WORKER_PORT: "0", ALERTS_ALLOW_LOOPBACK: "true", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    const read = (line: string) => {
      lines.push(line);
      const ready = /"url":"([^"]+)".*"worker ready"/.exec(line)?.[1];
      if (ready) resolve(ready);
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", read);
    void exited.then((code) => reject(new Error(`the worker ended with ${code}:\n${lines.join("\n")}`)));
  });
  return { url, lines, end: (signal = "SIGTERM") => end(child, exited, signal) };
}

async function end(child: ChildProcess, exited: Promise<number | null>, signal: NodeJS.Signals) {
  child.kill(signal);
  return exited;
}
