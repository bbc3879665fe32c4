import type { Observation } from "@flowtriq/protocol/observation";
import { NodePolicy } from "@flowtriq/protocol/policy";
import {
  AGENT_PATHS,
  type EnrollRequest,
  EnrollResponse,
  MAX_REPORT_EVENTS,
  MAX_REPORT_OBSERVATIONS,
  type Report,
  ReportResponse,
} from "@flowtriq/protocol/wire";
import { Problem } from "./problem.ts";
import { iso } from "./sink.ts";
import type { Spool } from "./spool.ts";
import { VERSION } from "./version.ts";

/** Seconds of counters kept for a service that is away: two hours. Events are on disk, these are not. */
const MAX_OBSERVATIONS = 7_200;
const REQUEST_MS = 10_000;
const MAX_BACKOFF_MS = 15_000;
/** The policy stream sends a comment every 15 s; silence for three of them is a dead line. */
const STREAM_SILENCE_MS = 45_000;
const MAX_STREAM_LINE = 1 << 18;

export type UplinkOptions = {
  url: string;
  nodeKey: string;
  spool: Spool;
  appliedRevision: () => number;
  onPolicy: (policy: NodePolicy) => void;
  onTrouble: (code: string, message: string) => void;
};

/** Earns a node key with an enrolment token. */
export async function enroll(url: string, request: EnrollRequest): Promise<EnrollResponse> {
  const response = await post(url, AGENT_PATHS.enroll, request).catch((error: Error) => {
    throw new Problem(
      `cannot reach the service at ${url}: ${error.message}`,
      "Check the address and the network; protection runs without it.",
      1,
      error,
    );
  });
  if (response.status === 401 || response.status === 403) {
    throw new Problem(
      "the service refused the token",
      "Create a new one under Nodes, Add node: a token works once and for a limited time.",
    );
  }
  if (!response.ok) throw new Problem(`the service answered ${response.status} to the enrolment`, "Try again later.");
  const parsed = EnrollResponse.safeParse(await response.json());
  if (!parsed.success)
    throw new Problem(
      "the service's answer to the enrolment is not one",
      "Check that the address is that of the service.",
    );
  return parsed.data;
}

const post = (url: string, path: string, body: unknown, key?: string) =>
  fetch(new URL(path, url), {
    method: "POST",
    redirect: "error",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_MS),
  });

/**
 * Reports to the service and takes its policies. Nothing in the agent waits for it: events stay in the spool until they are
 * acknowledged, seconds wait in memory and the oldest go first.
 */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #observations: Observation[] = [];
  #wake: (() => void) | undefined;
  #policyError: string | undefined;
  #stopped = false;
  #failures = 0;
  #reportedAt: number | null = null;
  #trouble: string | null = null;
  readonly #stream = new AbortController();

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  /** How the last report went. */
  get state(): { connected: boolean; lastReportAt: string | null; trouble: string | null } {
    const lastReportAt = this.#reportedAt === null ? null : iso(this.#reportedAt);
    return { connected: lastReportAt !== null && this.#trouble === null, lastReportAt, trouble: this.#trouble };
  }

  start(): void {
    void this.#reportForEver();
    void this.#listenForEver();
  }

  observe(seen: Observation): void {
    this.#observations.push(seen);
    if (this.#observations.length > MAX_OBSERVATIONS) this.#observations.shift();
    this.wake();
  }

  /** There is something to report. */
  wake(): void {
    this.#wake?.();
  }

  policyRefused(reason: string | undefined): void {
    this.#policyError = reason;
  }

  /** Sends what is left, for as long as the deadline allows. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    this.#stream.abort();
    this.#wake?.();
    await Promise.race([this.#report().catch(() => {}), new Promise((resolve) => setTimeout(resolve, deadlineMs))]);
  }

  async #reportForEver(): Promise<void> {
    while (!this.#stopped) {
      if (this.#observations.length === 0 && this.#options.spool.size === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        if (this.#stopped) return;
      }
      try {
        await this.#report();
        this.#failures = 0;
      } catch (error) {
        this.#failures++;
        this.#trouble = (error as Error).message.slice(0, 200);
        if (this.#failures === 3)
          this.#options.onTrouble("service_unreachable", (error as Error).message.slice(0, 400));
        await this.#pause(Math.min(MAX_BACKOFF_MS, 250 * 2 ** this.#failures) * (0.5 + Math.random() / 2));
      }
    }
  }

  async #report(): Promise<void> {
    const events = this.#options.spool.oldest(MAX_REPORT_EVENTS);
    const observations = this.#observations.slice(0, MAX_REPORT_OBSERVATIONS);
    if (events.length === 0 && observations.length === 0) return;
    const report: Report = {
      sentAt: iso(Date.now()),
      agentVersion: VERSION,
      appliedRevision: this.#options.appliedRevision(),
      ...(this.#policyError ? { policyError: this.#policyError.slice(0, 500) } : {}),
      events,
      observations,
    };
    const response = await post(this.#options.url, AGENT_PATHS.report, report, this.#options.nodeKey);
    if (!response.ok) throw new ServiceAnswer(response);
    const { acknowledged } = ReportResponse.parse(await response.json());
    this.#options.spool.acknowledge(acknowledged);
    this.#observations.splice(0, observations.length);
    this.#reportedAt = Date.now();
    this.#trouble = null;
  }

  async #listenForEver(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      try {
        await this.#listen(() => {
          failures = 0;
        });
      } catch {
        // Said by the reports, which fail too; the stream only tries again.
      }
      failures++;
      await this.#pause(Math.min(MAX_BACKOFF_MS, 250 * 2 ** failures) * (0.5 + Math.random() / 2));
    }
  }

  /** Reads server-sent events until the line breaks. Only `data:` of `policy` events matters. */
  async #listen(onOpen: () => void): Promise<void> {
    const line = new AbortController();
    let silence = setTimeout(() => line.abort(), STREAM_SILENCE_MS);
    const response = await fetch(new URL(AGENT_PATHS.policyStream, this.#options.url), {
      redirect: "error",
      headers: { accept: "text/event-stream", authorization: `Bearer ${this.#options.nodeKey}` },
      signal: AbortSignal.any([line.signal, this.#stream.signal]),
    });
    try {
      if (!response.ok || !response.body) throw new ServiceAnswer(response);
      onOpen();
      let text = "";
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        clearTimeout(silence);
        silence = setTimeout(() => line.abort(), STREAM_SILENCE_MS);
        text += decoder.decode(chunk, { stream: true });
        const events = text.split("\n\n");
        text = events.pop()!;
        if (text.length > MAX_STREAM_LINE) throw new Error("the policy stream sent too long a line");
        for (const event of events) this.#onStreamEvent(event);
      }
    } finally {
      clearTimeout(silence);
      line.abort();
    }
  }

  #onStreamEvent(event: string): void {
    const fields = event.split("\n");
    if (!fields.includes("event: policy")) return;
    const data = fields.filter((field) => field.startsWith("data:")).map((field) => field.slice(5).trim());
    const policy = NodePolicy.safeParse(parseJson(data.join("\n")));
    if (policy.success) this.#options.onPolicy(policy.data);
    else this.#options.onTrouble("policy_unreadable", "The service sent a policy that this version cannot read.");
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#stream.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

class ServiceAnswer extends Error {
  constructor(response: Response) {
    super(`the service answered ${response.status}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
