import fs from "node:fs";

/** What a process and its children have cost so far, and what it holds in memory. */
export type Footprint = { cpuMs: number; atMs: number; residentMb: number; privateMb: number };

/** Linux counts processor time in hundredths of a second (proc(5), USER_HZ). */
const TICK_MS = 10;

export function footprint(pid: number): Footprint {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name in parentheses; utime, stime, cutime and cstime are fields 14 to 17.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN);
  return {
    cpuMs: (fields[11]! + fields[12]! + fields[13]! + fields[14]!) * TICK_MS,
    atMs: performance.now(),
    residentMb: kb("VmRSS") / 1024,
    privateMb: kb("RssAnon") / 1024,
  };
}

/** Percent of one core between two moments, children included. */
export const cpuPercent = (from: Footprint, to: Footprint): number =>
  ((to.cpuMs - from.cpuMs) / (to.atMs - from.atMs)) * 100;

/** Milliseconds that a process's threads have run, by the scheduler's account (nanoseconds, unlike the ticks of `stat`). */
export function scheduledMs(pid: number): number {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => {
    const spent = fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0];
    return sum + Number(spent) / 1e6;
  }, 0);
}

/** What a process has cost so far by that account; of the programs that it ran and that have ended, by their ticks. */
export function spentMs(pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name in parentheses; cutime and cstime are fields 16 and 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return scheduledMs(pid) + (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}
