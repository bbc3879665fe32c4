/**
 * A flood that the concentrator's interface receives without anybody sending it: one process in the concentrator's namespace, run by Bun,
 * its request the first argument. It reports as a sender does.
 */
import { writeSync } from "node:fs";
import { cpus } from "node:os";
import type { FloodReport } from "../flood/request.ts";
import { inNamespaceOf, inputClosed, realtimeMs, sleepMicroseconds, toldToBegin } from "../flood/socket.ts";
import { PROTOCOL } from "../packet.ts";
import { createRing } from "../ring.ts";
import { InjectedFloodRequest } from "./request.ts";
import { goBeforeOthers, keepReady, loadProgram, openInterface, VERDICT } from "./xdp.ts";

const report = (line: FloodReport) => writeSync(1, `${JSON.stringify(line)}\n`);
/** Copies of a frame in one call: a millisecond's worth, but not so few that the call itself is what costs. */
const BURST_MS = 1;
const LEAST_BURST = 16;
/** A machine that was taken away for longer does not make up for it. */
const MOST_BEHIND_MS = 20;
const LOG_MS = 1_000;
const LOOK_MS = 20;
/** Ethernet and IPv4; of UDP the checksum is the third word. */
const UDP_CHECKSUM_AT = 14 + 20 + 6;
const PROTOCOL_AT = 14 + 9;

if (!inNamespaceOf("srv")) throw new Error("this only runs in the namespace of a lab's concentrator");
const request = InjectedFloodRequest.parse(JSON.parse(process.argv[2] ?? "null"));
const { pps, seconds } = request;
const ring = createRing({ ...request, sources: "random" });
const frames = Array.from(ring.offset, (start, slot) =>
  withoutChecksum(ring.bytes.slice(start, start + ring.length[slot]!)),
);
const program = loadProgram(VERDICT.pass, "random_and_right");
const receive = openInterface(request.interface);
keepReady(program);
goBeforeOthers(cpus().length - 1);
const burst = Math.max(LEAST_BURST, Math.round((pps * BURST_MS) / 1000));

report({ event: "ready" });
if (!toldToBegin()) process.exit(0);
const firstAt = realtimeMs();
const from = performance.now();
const log: [number, number][] = [];
let [sent, forgone, now, nextLog, nextLook] = [0, 0, 0, 0, 0];
for (let turn = 0; now < seconds * 1000; turn++) {
  receive(program, frames[turn % frames.length]!, burst);
  if (sent === 0) report({ event: "first", at: firstAt });
  sent += burst;
  now = performance.now() - from;
  if (now >= nextLog) {
    log.push([now, sent]);
    nextLog += LOG_MS;
  }
  if (now >= nextLook) {
    if (inputClosed()) break;
    nextLook = now + LOOK_MS;
  }
  const behindMs = now - ((sent + forgone) / pps) * 1000;
  if (behindMs < 0) sleepMicroseconds(Math.ceil(-behindMs * 1000));
  else if (behindMs > MOST_BEHIND_MS) forgone += Math.floor(((behindMs - MOST_BEHIND_MS) * pps) / 1000);
  now = performance.now() - from;
}
log.push([now, sent]);
report({ event: "done", sent, seconds: now / 1000, pps: (sent * 1000) / now, log });

/** UDP over IPv4 may go without one (RFC 768), and then it is not wrong when the source changes. */
function withoutChecksum(frame: Uint8Array): Uint8Array {
  if (frame[PROTOCOL_AT] === PROTOCOL.udp) frame.fill(0, UDP_CHECKSUM_AT, UDP_CHECKSUM_AT + 2);
  return frame;
}
