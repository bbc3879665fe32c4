import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Column of /proc/net/softnet_stat with the packets that wait in a processor's backlog (`softnet_backlog_len`, Linux 5.14). */
const BACKLOG_COLUMN = 11;
/** A packet on its way from one backlog to the next is in neither: two looks so far apart do not both miss it. */
const LOOK_MS = 2;
const LOOKS = 3;
const PATIENCE_MS = 2_000;

const waiting = () =>
  readFileSync("/proc/net/softnet_stat", "utf8")
    .trim()
    .split("\n")
    .reduce((sum, line) => sum + Number.parseInt(line.split(/\s+/)[BACKLOG_COLUMN] ?? "0", 16), 0);

/**
 * Resolves when the kernel has processed what was handed to it on virtual links: on a machine whose processors are busy,
 * packets wait there for milliseconds after their sender has ended. While other traffic keeps the backlogs filled, after two
 * seconds.
 */
export async function backlogDrained(): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let empty = 0; empty < LOOKS && performance.now() < deadline; empty = waiting() === 0 ? empty + 1 : 0) {
    await delay(LOOK_MS);
  }
}
