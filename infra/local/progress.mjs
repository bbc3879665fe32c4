// What the terminal sees: a line for every long step, and errors that say what to do.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";

const HEARTBEAT_MS = 10_000;
const TAIL_LINES = 25;

/** An error whose message is all that its reader needs; no stack is shown. */
export class Problem extends Error {}

export const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

/** Runs `work`, saying what it is, that it still goes on, and how long it took. `work` may report its last line. */
export async function step(title, work) {
  const began = performance.now();
  let latest = "";
  const live = process.stdout.isTTY === true;
  const width = process.stdout.columns ?? 100;
  const show = () => {
    const text = `… ${title} (${seconds(began)})${latest ? ` ${latest}` : ""}`;
    process.stdout.write(live ? `\r\x1b[K${text.slice(0, width - 1)}` : `${text.slice(0, 160)}\n`);
  };
  if (live) show();
  else process.stdout.write(`… ${title}\n`);
  const timer = setInterval(show, live ? 500 : HEARTBEAT_MS);
  const settle = (mark) => {
    clearInterval(timer);
    process.stdout.write(`${live ? "\r\x1b[K" : ""}${mark} ${title} (${seconds(began)})\n`);
  };
  try {
    const result = await work((line) => {
      latest = line.replace(/[^\x20-\x7e]/g, "").trim();
    });
    settle("✓");
    return result;
  } catch (error) {
    settle("✗");
    throw error;
  }
}

/** Runs a program with its output in `log`; the error of a failure carries the end of it. Resolves to what it printed. */
export function run(command, args, { cwd, env = process.env, log, onLine = () => {}, advice = "" } = {}) {
  return new Promise((done, fail) => {
    if (log) mkdirSync(dirname(log), { recursive: true });
    const file = log ? createWriteStream(log) : undefined;
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const lines = [];
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (chunk) => {
        file?.write(chunk);
        if (stream === child.stdout) printed += chunk;
        const parts = (rest + chunk).split(/\r?\n/);
        rest = parts.pop() ?? "";
        for (const line of parts) {
          lines.push(line);
          if (lines.length > TAIL_LINES) lines.shift();
          if (line.trim()) onLine(line);
        }
      });
      stream.on("end", () => rest && lines.push(rest));
    }
    child.once("error", (error) => fail(new Problem(`${command} could not be run: ${error.message}\n${advice}`)));
    child.once("close", (code, signal) => {
      file?.end();
      if (code === 0) return done(printed);
      const where = log ? `\nAll of its output: ${log}` : "";
      const end = lines.join("\n").trimEnd();
      fail(
        new Problem(`${[command, ...args].join(" ")} failed (${signal ?? code}):\n${end}${where}\n${advice}`.trimEnd()),
      );
    });
  });
}

/** Entry of a command: its problems are printed plainly, and the exit code tells. */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    console.error(`\n${error instanceof Problem ? error.message : (error?.stack ?? error)}`);
    process.exitCode = 1;
  }
}
