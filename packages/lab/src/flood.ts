import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { backlogDrained } from "./backlog.ts";
import { FloodOptions, FloodReport, type FloodRequest } from "./flood/request.ts";
import { type Family, start, type Topology } from "./namespaces.ts";

export { type FloodOptions, onSeconds } from "./flood/request.ts";

export interface FloodResult {
  /** Milliseconds since the epoch. */
  firstPacketAt: number;
  sent: number;
  seconds: number;
  pps: number;
  /** [milliseconds since the first packet, packets handed over until then]. */
  log: [number, number][];
  family: 4 | 6;
}

export interface Flood {
  /** Milliseconds since the epoch, with fractions: CLOCK_REALTIME right before the first packets went out. */
  firstPacketAt: number;
  result: Promise<FloodResult>;
  /** Ends the flood early. */
  stop(): Promise<FloodResult>;
}

/** A flood whose packets are made; nothing is sent yet. */
export interface PreparedFlood {
  /** Resolves when the first packet is out, at this moment (milliseconds since the epoch) or, if it is past, at once. */
  begin(at?: number): Promise<Flood>;
}

/**
 * Floods the lab's concentrator from its attacker's namespace. Resolves when the first packet is out; the ring is built before
 * that (0.2 s). Its result comes when the kernel has processed every packet. Throws on options outside their bounds. Ends by
 * itself, also when this process dies.
 */
export const flood = async (lab: Topology, options: FloodOptions): Promise<Flood> =>
  (await prepareFlood(lab, options)).begin();

/** The same in two steps, so that several senders may begin together, however long each takes to make its packets. */
export async function prepareFlood(lab: Topology, options: FloodOptions): Promise<PreparedFlood> {
  const parsed = FloodOptions.parse(options);
  const request: FloodRequest = {
    ...parsed,
    interface: "eth0",
    destination: lab.concentrator.address[parsed.family],
    sourceMac: lab.floodMac,
    destinationMac: lab.concentrator.mac,
  };
  const main = fileURLToPath(new URL("./flood/main.ts", import.meta.url));
  return startSender(lab.attacker.namespace, main, request);
}

/** Runs a sender's process, which reports as `FloodReport` says, and resolves when it is ready. */
export async function startSender(
  namespace: string,
  main: string,
  request: { family: Family },
): Promise<PreparedFlood> {
  const child = start(namespace, [bunPath(), main, JSON.stringify(request)], { stdio: "pipe" });
  // It may end by itself just before it is told to.
  child.stdin?.on("error", () => {});
  let problem = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    problem = (problem + text).slice(-2000);
  });

  let firstPacketAt = Number.NaN;
  let done: FloodResult | undefined;
  const ready = deferred<void>();
  const started = deferred<void>();
  const ended = deferred<FloodResult>();
  // A caller that only wants the start must not die of an unhandled end.
  started.promise.catch(() => {});
  ended.promise.catch(() => {});
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const report = FloodReport.parse(JSON.parse(line));
    if (report.event === "ready") ready.resolve();
    else if (report.event === "first") {
      firstPacketAt = report.at;
      started.resolve();
    } else {
      const { event: _, ...result } = report;
      done = { ...result, firstPacketAt, family: request.family };
    }
  });
  const fail = (error: Error) => {
    ready.reject(error);
    started.reject(error);
    ended.reject(error);
  };
  child.on("error", fail);
  child.on("close", (code, signal) => {
    const result = done;
    if (result) void backlogDrained().then(() => ended.resolve(result));
    else fail(new Error(`the flood's sender ended with ${code ?? signal}: ${problem.trim()}`));
  });

  await ready.promise;
  return {
    async begin(at = 0) {
      child.stdin?.write(`${at}\n`);
      await started.promise;
      return {
        firstPacketAt,
        result: ended.promise,
        stop() {
          child.stdin?.end();
          return ended.promise;
        },
      };
    },
  };
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Bun's binary is inside its npm package. */
export function bunPath(): string {
  const manifest = createRequire(import.meta.url).resolve("@oven/bun-linux-x64/package.json");
  return fileURLToPath(new URL("./bin/bun", `file://${manifest}`));
}
