import fs from "node:fs";
import net from "node:net";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { EXIT_TROUBLE, Problem } from "./problem.ts";

/**
 * The running agent's local door: one JSON line in, one out. There is one agent in a network namespace, so its socket is named
 * by that namespace, in a folder that only the agent's user may enter: whoever may go there may command.
 */
export type Command = { command: "status" } | { command: "withdraw"; attack: string } | { command: "withdraw-all" };

const MAX_LINE = 4_096;
const RUNTIME_DIR = `/run/${DEFAULT_BRAND.agentName}`;

/** Where the agent of this network namespace listens; in its state folder where /run is not writable. */
export function controlSocket(stateDir: string): string {
  try {
    fs.mkdirSync(RUNTIME_DIR, { recursive: true, mode: 0o700 });
    fs.accessSync(RUNTIME_DIR, fs.constants.W_OK);
    return `${RUNTIME_DIR}/net-${fs.statSync("/proc/self/ns/net").ino}.sock`;
  } catch {
    return `${stateDir}/control.sock`;
  }
}

/** Where to ask the running agent. Only those who may enter its folder may command. */
export function agentSocket(stateDir: string): string {
  try {
    fs.accessSync(RUNTIME_DIR, fs.constants.X_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") throw notAllowed(error);
  }
  return controlSocket(stateDir);
}

const notAllowed = (cause: unknown) =>
  new Problem("not allowed to ask the agent", "Run as root, or as the agent's user.", EXIT_TROUBLE, cause);

export function serveControl(path: string, handle: (command: Command) => unknown): { close: () => void } {
  fs.rmSync(path, { force: true });
  const server = net.createServer((socket) => {
    let line = "";
    socket.setEncoding("utf8");
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      line += chunk;
      if (line.length > MAX_LINE) return void socket.destroy();
      if (!line.includes("\n")) return;
      socket.end(`${JSON.stringify(answer(line, handle))}\n`);
    });
  });
  server.on("error", () => {});
  server.listen(path, () => fs.chmodSync(path, 0o600));
  server.unref();
  return {
    close: () => {
      server.close();
      fs.rmSync(path, { force: true });
    },
  };
}

function answer(line: string, handle: (command: Command) => unknown): unknown {
  const command = parseCommand(line);
  if (!command) return { error: "not a command" };
  try {
    return { ok: handle(command) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function parseCommand(line: string): Command | undefined {
  try {
    const { command, attack } = JSON.parse(line) as Record<string, unknown>;
    if (command === "status" || command === "withdraw-all") return { command };
    return command === "withdraw" && typeof attack === "string" ? { command, attack } : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the running agent; undefined when none runs there. */
export function askAgent(path: string, command: Command): Promise<{ ok?: unknown; error?: string } | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = net.createConnection(path);
    socket.setEncoding("utf8");
    socket.setTimeout(5_000, () => {
      socket.destroy();
      reject(
        new Problem("the agent does not answer", "Look at its log; `withdraw --all` then works on the kernel itself."),
      );
    });
    socket.on("connect", () => socket.write(`${JSON.stringify(command)}\n`));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else reject(error.code === "EACCES" || error.code === "EPERM" ? notAllowed(error) : error);
    });
    socket.on("end", () => {
      try {
        resolve(JSON.parse(text));
      } catch {
        reject(new Error("the agent's answer is not readable"));
      }
    });
  });
}
