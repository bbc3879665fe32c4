import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type Host, start } from "./namespaces.ts";

export interface Recording {
  file: string;
  /** Ends the capture and resolves when the file is whole. */
  stop(): Promise<void>;
}

export interface RecordOptions {
  interface?: string;
  /** A capture filter, as in pcap-filter(7). */
  filter?: string[];
  snapLength?: number;
  /** The capture ends by itself after so many packets. */
  packets?: number;
}

/** Captures what one machine of the lab sees, with tcpdump, into a file that must not exist yet. Resolves when it listens. */
export async function record(host: Host, file: string, options: RecordOptions = {}): Promise<Recording> {
  const limit = options.packets ? ["-c", `${options.packets}`] : [];
  const tcpdump = start(
    host.namespace,
    // As root, or it could not write where only we may; unbuffered, so that a killed run leaves a readable file.
    [
      "tcpdump",
      "-n",
      "-U",
      "--immediate-mode",
      "-Z",
      "root",
      "-i",
      options.interface ?? "eth0",
      "-s",
      `${options.snapLength ?? 0}`,
    ].concat(["-w", file, ...limit, "--"], options.filter ?? []),
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  await new Promise<void>((resolve, reject) => {
    tcpdump.on("error", reject);
    tcpdump.on("close", (code) => reject(new Error(`tcpdump ended with ${code}: ${said.trim()}`)));
    tcpdump.stderr?.on("data", (text) => {
      said += text;
      if (said.includes("listening on")) resolve();
    });
  });
  const isRunning = () => tcpdump.exitCode === null && tcpdump.signalCode === null;
  const closed = isRunning() ? once(tcpdump, "close") : Promise.resolve();
  return {
    file,
    async stop() {
      // What the kernel has queued for it would be lost: let it catch up, at most for two seconds.
      const deadline = performance.now() + 2000;
      while (isRunning() && performance.now() < deadline && !(await isCaughtUp(tcpdump))) await delay(10);
      if (isRunning()) tcpdump.kill("SIGINT");
      await closed;
    },
  };
}

/** On SIGUSR1 tcpdump says how many packets it has written and how many the kernel has accepted for it. */
async function isCaughtUp(tcpdump: ChildProcess): Promise<boolean> {
  let said = "";
  const listen = (text: Buffer) => {
    said += text;
  };
  tcpdump.stderr?.on("data", listen);
  tcpdump.kill("SIGUSR1");
  while (!/dropped by kernel/.test(said)) {
    await Promise.race([once(tcpdump.stderr!, "data"), once(tcpdump, "close")]);
    if (tcpdump.exitCode !== null) break;
  }
  tcpdump.stderr?.off("data", listen);
  const [captured, received] = [/(\d+) packets? captured/, /(\d+) packets? received/].map((text) =>
    Number(text.exec(said)?.[1]),
  );
  return captured! >= received!;
}
