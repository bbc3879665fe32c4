import { readFileSync } from "node:fs";

/** Processor time since boot, in ticks: all of it, and what the host of this virtual machine gave to others (proc(5), /proc/stat). */
export interface ProcessorTimes {
  total: number;
  stolen: number;
}

export function processorTimes(): ProcessorTimes {
  const fields = readFileSync("/proc/stat", "utf8").split("\n")[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
  return { total: fields.reduce((sum, ticks) => sum + ticks, 0), stolen: fields[7] ?? 0 };
}

/** Share of this machine's processor time that its host has taken away since then, 0 to 1. */
export function stolenSince({ total, stolen }: ProcessorTimes): number {
  const now = processorTimes();
  return now.total > total ? (now.stolen - stolen) / (now.total - total) : 0;
}

/** Above this a machine stands still for parts of a second: what is lost then says nothing about what ran on it. */
const DISTURBED = 0.03;
/** Even so a tunnel that answers 19 times of 20 is up. */
const DISTURBED_LOSS = 0.05;

/** How many of so many pings may go unanswered: none, unless the machine itself was taken away. */
export const bearableLoss = (sent: number, since: ProcessorTimes): number =>
  stolenSince(since) > DISTURBED ? Math.ceil(sent * DISTURBED_LOSS) : 0;
