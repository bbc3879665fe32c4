import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { start } from "./namespaces.ts";

export interface ProbeOptions {
  /** The client's namespace and the address to ask, inside the tunnel. */
  namespace: string;
  target: string;
  intervalMs?: number;
  /** An answer later than this counts as lost. */
  timeoutMs?: number;
  /** Payload bytes. */
  size?: number;
}

export interface ProbeSample {
  /** When the request was sent, milliseconds since the epoch. Of unanswered ones: reckoned from their neighbours. */
  at: number;
  /** Null: no answer within the timeout. */
  rttMs: number | null;
}

export interface ProbeResult {
  sent: number;
  received: number;
  lost: number;
  /** Among the lost: answered after the timeout. */
  late: number;
  rttMs: { min: number; median: number; p95: number; max: number };
  /** The longest time without an answer, in milliseconds. One interval and a round trip are normal. */
  longestGapMs: number;
  samples: ProbeSample[];
}

export interface Probe {
  /** Resolves with the first answer. */
  answered: Promise<void>;
  /** What happened until now; requests younger than the timeout are left out. */
  result(): ProbeResult;
  /** Ends the probe: every request sent before this call is judged, so it takes up to the timeout if one is unanswered. */
  stop(): Promise<ProbeResult>;
}

/**
 * Asks steadily through a tunnel with the system's `ping`, which stamps its packets itself: a busy machine delays this process,
 * not the figures. One small process for each probe.
 */
export function probe(options: ProbeOptions): Probe {
  const { intervalMs = 100, timeoutMs = 1000, size = 56, namespace, target } = options;
  const startedAt = Date.now();
  // -W in seconds, far beyond the timeout, so that late answers are still told apart from lost ones.
  const argv = ["ping", "-n", "-D", "-i", `${intervalMs / 1000}`, "-s", `${size}`, "-W", "10", target];
  const ping = start(namespace, argv, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C" } });
  const answers = new Map<number, { at: number; rttMs: number }>();
  let transmitted: number | undefined;
  let problem = "";
  let onAnswer = () => {};
  const answered = new Promise<void>((resolve, reject) => {
    onAnswer = resolve;
    ping.on("error", reject);
    ping.on("close", (code) => reject(new Error(`ping ${target} ended with ${code} and no answer: ${problem.trim()}`)));
  });
  answered.catch(() => {});
  ping.stderr?.on("data", (text) => {
    problem = (problem + text).slice(-500);
  });
  createInterface({ input: ping.stdout! }).on("line", (line) => {
    const answer = /^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) .*time=([\d.]+) ms/.exec(line);
    if (answer) {
      const [arrived, sequence, rttMs] = [Number(answer[1]) * 1000, Number(answer[2]), Number(answer[3])];
      // A duplicate says nothing new.
      const turn = unwrap(sequence, answers.size > 0 ? lastOf(answers) : 0);
      if (!answers.has(turn)) answers.set(turn, { at: arrived - rttMs, rttMs });
      onAnswer();
      return;
    }
    const summary = /^(\d+) packets transmitted/.exec(line);
    if (summary) transmitted = Number(summary[1]);
  });

  const judge = (until: number) =>
    summarize(sampled(answers, transmitted, { startedAt, intervalMs, until }), { timeoutMs });
  return {
    answered,
    result: () => judge(Date.now() - timeoutMs),
    async stop() {
      // Whole milliseconds round down; the request that was answered just now is meant too.
      const until = Date.now() + 1;
      const deadline = until + timeoutMs + intervalMs;
      while (isRunning(ping) && Date.now() < deadline && !answeredUntil(answers, until))
        await delay(Math.min(intervalMs, 20));
      if (isRunning(ping)) {
        ping.kill("SIGINT");
        await once(ping, "close");
      }
      return judge(until);
    },
  };
}

/** Several probes as one: rates over all of them, the longest gap of any. */
export function combine(results: readonly ProbeResult[]): ProbeResult {
  const samples = results.flatMap((result) => result.samples).sort((a, b) => a.at - b.at);
  const late = results.reduce((sum, result) => sum + result.late, 0);
  return { ...figures(samples), late, longestGapMs: Math.max(0, ...results.map((result) => result.longestGapMs)) };
}

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;
const lastOf = (answers: Map<number, unknown>) => [...answers.keys()].at(-1)!;

/** ICMP counts to 65,535 and begins anew. */
function unwrap(sequence: number, near: number): number {
  return sequence + Math.round((near - sequence) / 65_536) * 65_536;
}

/** True if the answers reach past `until` without a hole. */
function answeredUntil(answers: Map<number, { at: number }>, until: number): boolean {
  const last = Math.max(0, ...answers.keys());
  return (answers.get(last)?.at ?? 0) > until && answers.size === last;
}

/** One sample for each request sent up to `until`; `ping` numbers them from 1. */
function sampled(
  answers: Map<number, { at: number; rttMs: number }>,
  transmitted: number | undefined,
  time: { startedAt: number; intervalMs: number; until: number },
): ProbeSample[] {
  const samples: ProbeSample[] = [];
  let [known, knownAt] = [1, time.startedAt];
  const last = transmitted ?? Math.ceil((time.until - time.startedAt) / time.intervalMs) + 1;
  for (let sequence = 1; sequence <= last; sequence += 1) {
    const answer = answers.get(sequence);
    if (answer) [known, knownAt] = [sequence, answer.at];
    const at = answer?.at ?? knownAt + (sequence - known) * time.intervalMs;
    if (at > time.until) break;
    samples.push({ at, rttMs: answer?.rttMs ?? null });
  }
  return samples;
}

function summarize(all: ProbeSample[], { timeoutMs }: { timeoutMs: number }): ProbeResult {
  const samples = all.map((sample) =>
    sample.rttMs !== null && sample.rttMs > timeoutMs ? { ...sample, rttMs: null } : sample,
  );
  const late = all.filter((sample) => sample.rttMs !== null && sample.rttMs > timeoutMs).length;
  const arrivals = samples.flatMap(({ at, rttMs }) => (rttMs === null ? [] : [at + rttMs])).sort((a, b) => a - b);
  const [first, last] = [samples[0]?.at ?? 0, samples.at(-1)?.at ?? 0];
  const edges = [first, ...arrivals, Math.max(last, arrivals.at(-1) ?? 0)];
  const longestGapMs = Math.max(0, ...edges.slice(1).map((edge, index) => edge - edges[index]!));
  return { ...figures(samples), late, longestGapMs };
}

function figures(samples: ProbeSample[]): Omit<ProbeResult, "late" | "longestGapMs"> {
  const rtts = samples.flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs])).sort((a, b) => a - b);
  const quantile = (share: number) => rtts[Math.min(rtts.length - 1, Math.floor(rtts.length * share))] ?? Number.NaN;
  return {
    sent: samples.length,
    received: rtts.length,
    lost: samples.length - rtts.length,
    rttMs: { min: quantile(0), median: quantile(0.5), p95: quantile(0.95), max: quantile(1) },
    samples,
  };
}
