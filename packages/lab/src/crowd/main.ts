/**
 * A crowd of WireGuard clients in one process, run by Bun in a namespace of the lab. Its first line of standard input is the request,
 * the others are commands; it ends with standard input.
 */
import { writeSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { createInterface } from "node:readline";
import { Client } from "./client.ts";
import { CrowdCommand, type CrowdReport, CrowdRequest, type Outcome } from "./request.ts";

// Clients are machines of their own: their timers do not wait for what else runs on this one.
setPriority(constants.priority.PRIORITY_HIGHEST);

const TICK_MS = 5;
/** Inside the tunnel: an IPv6 header whose next header is "none" (RFC 8200 4.7), which whoever receives it drops in silence. */
const NO_NEXT_HEADER = 59;

let clients: Client[] = [];

/** A pipe may be full for a moment. */
function report(line: CrowdReport): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

async function begin(request: CrowdRequest): Promise<void> {
  clients = request.addresses.map((address) => new Client(request, address));
  await Promise.all(clients.map((client) => client.bind()));
  report({ event: "ready", publicKeys: clients.map(({ publicKey }) => publicKey) });
}

async function obey(command: CrowdCommand): Promise<void> {
  const { id } = command;
  if (command.do === "connect") report({ event: "connected", id, outcomes: await connect(command) });
  else if (command.do === "rebind") {
    await Promise.all(clients.map((client) => client.bind()));
    report({ event: "rebound", id });
  } else if (command.do === "data") report({ event: "data", id, ...(await pour(command)) });
  else {
    const messages = clients.flatMap(({ accepted }) => (accepted ? [Buffer.from(accepted).toString("base64")] : []));
    report({ event: "initiations", id, messages });
  }
}

async function connect({ withinMs, tries }: { withinMs: number; tries: number }): Promise<Outcome[]> {
  const outcomes = clients.map((client) => new Promise<Outcome>((resolve) => client.prepare(tries, resolve)));
  await spread(clients.length, withinMs, (number) => clients[number]!.try());
  return Promise.all(outcomes);
}

/** The same number of packets from each client, spread evenly over the time. */
async function pour({ pps, seconds, bytes }: { pps: number; seconds: number; bytes: number }) {
  const contents = new Uint8Array(40 + bytes);
  contents[0] = 0x60;
  new DataView(contents.buffer).setUint16(4, bytes);
  contents[6] = NO_NEXT_HEADER;
  let sent = 0;
  let packetBytes = 0;
  await spread(Math.round(pps * seconds) * clients.length, seconds * 1000, (number) => {
    const length = clients[number % clients.length]!.send(contents);
    if (length === 0) return;
    packetBytes = length;
    sent += 1;
  });
  return { sent, packetBytes };
}

/** Calls `each` so often, evenly over the time; what a busy machine has missed is made up for. */
function spread(count: number, ms: number, each: (number: number) => void): Promise<void> {
  const from = performance.now();
  let made = 0;
  return new Promise((resolve) => {
    const go = () => {
      const share = ms > 0 ? Math.min(1, (performance.now() - from) / ms) : 1;
      for (const due = Math.min(count, Math.floor(count * share) + 1); made < due; made += 1) each(made);
      if (made < count) setTimeout(go, TICK_MS);
      else resolve();
    };
    go();
  });
}

let begun = false;
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  if (begun) {
    const command = CrowdCommand.parse(JSON.parse(line));
    obey(command).catch((error) => report({ event: "refused", id: command.id, reason: String(error) }));
  } else {
    begun = true;
    begin(CrowdRequest.parse(JSON.parse(line))).catch((error) => {
      process.stderr.write(`${error}\n`, () => process.exit(1));
    });
  }
});
lines.on("close", () => process.exit(0));
