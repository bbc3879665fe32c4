/**
 * Plays packets at the lab's concentrator from both sides, in order, in one process, run by Bun: what arrives is sent on the
 * attacker's wire, what the concentrator sends leaves its own kernel through the output hook. Its request is the first argument.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { inNamespaceOf, inputClosed, sleepMicroseconds } from "../flood/socket.ts";
import { fromScript, type PlayReport, PlayRequest } from "./script.ts";
import { enterNamespace, openRaw, openWire } from "./socket.ts";

/** What is due sooner than this is waited for awake. */
const AWAKE_MS = 0.15;
const NAP_MS = 20;
const TRIES = 200;

function main(): void {
  if (!inNamespaceOf("atk")) throw new Error("this player only runs in the namespace of a lab's attacker");
  const request = PlayRequest.parse(JSON.parse(process.argv[2] ?? "null"));
  const packets = fromScript(readFileSync(request.file));
  const wire = openWire("eth0", request.destinationMac);
  enterNamespace(openSync(`/var/run/netns/${request.concentrator}`, "r"));
  const host = openRaw("eth0");

  const report: PlayReport = { sent: { in: 0, out: 0 }, refused: [], seconds: 0 };
  const start = Bun.nanoseconds();
  const elapsedMs = () => (Bun.nanoseconds() - start) / 1e6;
  for (const [number, { at, way, bytes }] of packets.entries()) {
    for (let left = at - elapsedMs(); left > AWAKE_MS; left = at - elapsedMs()) {
      sleepMicroseconds(Math.ceil(Math.min(left - AWAKE_MS / 2, NAP_MS) * 1000));
      if (inputClosed()) return;
    }
    let code = send();
    // The device was full for a moment (EAGAIN, ENOBUFS).
    for (let tries = 0; (code === 11 || code === 105) && tries < TRIES; tries++) {
      sleepMicroseconds(100);
      code = send();
    }
    if (code === 0) report.sent[way]++;
    else report.refused.push([number, code]);

    function send(): number {
      return way === "in" ? wire.send(number, bytes) : host.send(bytes);
    }
  }
  report.seconds = elapsedMs() / 1000;
  writeSync(1, `${JSON.stringify(report)}\n`);
}

main();
