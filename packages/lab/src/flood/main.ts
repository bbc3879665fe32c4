/** The flood's sender: one process in the attacker's namespace, run by Bun. Its request is the first argument, as JSON. */
import { writeSync } from "node:fs";
import { createRing } from "../ring.ts";
import { type FloodReport, FloodRequest, onSeconds } from "./request.ts";
import { inNamespaceOf, inputClosed, openSender, realtimeMs, sleepMicroseconds, toldToBegin } from "./socket.ts";

const report = (line: FloodReport) => writeSync(1, `${JSON.stringify(line)}\n`);
const NANOSECONDS = 1e9;

function main(): void {
  if (!inNamespaceOf("atk")) throw new Error("this sender only runs in the namespace of a lab's attacker");
  const request = FloodRequest.parse(JSON.parse(process.argv[2] ?? "null"));
  const ring = createRing(request);
  const sender = openSender(request.interface, ring);
  // Two rounds let the compiler see the hot loop before the clock runs.
  for (let slot = 0; slot < ring.slots * 2; slot += 1) ring.renew(slot % ring.slots, slot % ring.slots);

  const { pps, seconds, batch, pulses } = request;
  const limit = Math.min(request.packets ?? Number.POSITIVE_INFINITY, Math.round(pps * onSeconds(seconds, pulses)));
  const log: [number, number][] = [];
  let sent = 0;
  let nextLog = 0;
  let nextLook = 0;
  let renewed = 0;

  report({ event: "ready" });
  if (!toldToBegin()) return;
  const startedAt = realtimeMs();
  const start = Bun.nanoseconds();
  const elapsed = () => (Bun.nanoseconds() - start) / NANOSECONDS;
  let now = 0;
  while (now < seconds && sent < limit) {
    const due = Math.min(limit, Math.floor(pps * onSeconds(now, pulses)) + 1);
    const slot = sent % ring.slots;
    const count = Math.min(due - sent, batch, ring.slots - slot);
    if (count > 0) {
      // What the kernel did not take the last time is ready already.
      for (; renewed < sent + count; renewed += 1) ring.renew(renewed % ring.slots, renewed);
      const taken = sender.send(slot, count);
      if (sent === 0 && taken > 0) report({ event: "first", at: startedAt });
      sent += taken;
    }
    now = elapsed();
    if (now >= nextLog) {
      log.push([Number((now * 1000).toFixed(3)), sent]);
      nextLog = now + (now < 1 ? 0.0004 : 0.02);
    }
    if (now >= nextLook) {
      if (inputClosed()) break;
      nextLook = now + 0.005;
    }
    // Sleep for half a batch, so that small rates cost nothing and large ones do not clump.
    const ahead = (sent - pps * onSeconds(now, pulses)) / pps;
    if (ahead > 0) sleepMicroseconds(Math.min(500, Math.max(20, Math.ceil((ahead + batch / 2 / pps) * 1e6))));
    now = elapsed();
  }
  log.push([Number((now * 1000).toFixed(3)), sent]);
  report({ event: "done", sent, seconds: now, pps: now > 0 ? sent / now : 0, log });
}

main();
