// Child processes that are ready when they say so, and never outlive the one that started them.
import { spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Problem } from "./progress.mjs";

const MAX_LOG_BYTES = 10_000_000;
const STOP_MS = 15_000;
const LOOK_MS = 25;

/**
 * Starts a program in a process group of its own, so that Ctrl-C reaches it only through us, after its clients have gone.
 * `setpriv` holds more flags for setpriv; with it the kernel ends the child when this process dies, even by kill -9.
 */
export function startProcess({ name, file, args = [], cwd, env, log, setpriv = [], deathSignal = "TERM" }) {
  mkdirSync(dirname(log), { recursive: true });
  if (existsSync(log) && statSync(log).size > MAX_LOG_BYTES) truncateSync(log);
  const out = openSync(log, "a", 0o600);
  const wrapper = onPath("setpriv");
  const argv = wrapper ? [wrapper, `--pdeathsig=${deathSignal}`, ...setpriv, file, ...args] : [file, ...args];
  const child = spawn(argv[0], argv.slice(1), { cwd, env, stdio: ["ignore", out, out], detached: true });
  closeSync(out);
  child.unref();
  const server = { name, pid: child.pid, log, ended: undefined, whenEnded: undefined, stop: undefined };
  server.whenEnded = new Promise((done) => {
    const end = (how) => {
      server.ended = how;
      done(how);
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, signal) => end(`ended with ${signal ?? code}`));
  });
  server.stop = async (gentle = "SIGTERM", hard = "SIGKILL") => {
    if (server.ended) return;
    child.ref();
    child.kill(gentle);
    const timer = setTimeout(() => child.kill(hard), STOP_MS);
    await server.whenEnded;
    clearTimeout(timer);
  };
  return server;
}

/** Waits until `isReady` says so. If the program ends before, or takes too long, the error carries the end of its log. */
export async function untilReady(server, isReady, { seconds = 30 } = {}) {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    if (server.ended)
      throw new Problem(`${server.name} ${server.ended}. The end of ${server.log}:\n${tail(server.log)}`);
    if (await isReady()) return server;
    await delay(LOOK_MS);
  }
  await server.stop();
  throw new Problem(
    `${server.name} did not become ready in ${seconds} s. The end of ${server.log}:\n${tail(server.log)}`,
  );
}

/** Answers whether a page can be had; for `untilReady`. */
export const answers = (url) => async () => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000), redirect: "manual" });
    await response.arrayBuffer();
    return response.status < 500;
  } catch {
    return false;
  }
};

/** First executable of that name on PATH; sbin counts, as users without root often lack it. */
export function onPath(name) {
  for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"]) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {}
  }
  return undefined;
}

const tail = (file) => (existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n") : "");
