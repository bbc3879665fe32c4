import type { ReportResponse } from "@flowtriq/protocol/wire";
import { Unauthenticated } from "@flowtriq/services/errors";
import { type NodeReport, reportObservations, report as reportOne } from "@flowtriq/services/node";
import { Busy, databaseIsAway } from "./problem.ts";

type Waiting = NodeReport & { bytes: number; done: (response: ReportResponse) => void; fail: (error: unknown) => void };

export type ReportsOptions = {
  /** Reports with events that are stored at the same time, each in its tenant's own transaction. */
  atOnce: number;
  maxWaiting: number;
  /** Called when these are committed. */
  onStored: (stored: NodeReport) => void;
};

/** The first of a batch waits this long for company. */
const GATHER_MS = 8;
const MAX_BATCH = 1_000;
const MAX_WAITING_BYTES = 64_000_000;

/**
 * Turns reports into commits. One with events gets a transaction of its own at once. Those without (a node's ordinary second)
 * gather for some milliseconds, or for as long as the batch before them takes, and share one. What cannot be kept is refused
 * before it is accepted; what was accepted is answered after its commit.
 */
export class Reports {
  readonly #options: ReportsOptions;
  #quiet: Waiting[] = [];
  #urgent: Waiting[] = [];
  #storing = 0;
  #flushing = false;
  #timer: NodeJS.Timeout | undefined;
  #waiting = 0;
  #bytes = 0;
  #idle: (() => void)[] = [];

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  /** Throws Busy at once when too much is waiting. */
  async submit(report: NodeReport, bytes: number): Promise<ReportResponse> {
    if (this.#waiting >= this.#options.maxWaiting || this.#bytes + bytes > MAX_WAITING_BYTES) throw new Busy();
    this.#waiting += 1;
    this.#bytes += bytes;
    try {
      return await new Promise<ReportResponse>((done, fail) => {
        const waiting = { ...report, bytes, done, fail };
        if (report.report.events.length > 0) {
          this.#urgent.push(waiting);
          this.#storeUrgent();
        } else {
          this.#quiet.push(waiting);
          if (!this.#flushing) this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
        }
      });
    } finally {
      this.#waiting -= 1;
      this.#bytes -= bytes;
      if (this.#waiting === 0) for (const wake of this.#idle.splice(0)) wake();
    }
  }

  /** Resolves when nothing waits any more. */
  drained(): Promise<void> {
    return this.#waiting === 0 ? Promise.resolve() : new Promise((wake) => this.#idle.push(wake));
  }

  #storeUrgent(): void {
    while (this.#storing < this.#options.atOnce) {
      const next = this.#urgent.shift();
      if (!next) return;
      this.#storing += 1;
      void this.#storeOne(next).finally(() => {
        this.#storing -= 1;
        this.#storeUrgent();
      });
    }
  }

  async #storeOne(item: Waiting): Promise<void> {
    const { workspaceId, nodeId, report } = item;
    try {
      const response = await reportOne({ workspaceId, actor: { kind: "node", nodeId }, now: new Date() }, report);
      this.#options.onStored(item);
      item.done(response);
    } catch (error) {
      item.fail(error);
    }
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    this.#flushing = true;
    while (this.#quiet.length > 0) await this.#storeMany(this.#quiet.splice(0, MAX_BATCH));
    this.#flushing = false;
  }

  async #storeMany(batch: Waiting[]): Promise<void> {
    try {
      const wanted = await reportObservations(batch, new Date());
      for (const item of batch) {
        const wantedRevision = wanted.get(item.nodeId);
        if (wantedRevision === undefined) {
          item.fail(new Unauthenticated("This node was removed."));
          continue;
        }
        this.#options.onStored(item);
        item.done({ acknowledged: [], wantedRevision });
      }
    } catch (error) {
      // One report that the database will not have must not take the others with it: each gets its own chance.
      if (batch.length > 1 && !databaseIsAway(error)) for (const item of batch) await this.#storeOne(item);
      else for (const item of batch) item.fail(error);
    }
  }
}
