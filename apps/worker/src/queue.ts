import type { Logger } from "@flowtriq/services/log";
import { DelayedError, type Job, Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Env } from "./env.ts";
import { finish, isUnfinished, type OutboxRow } from "./outbox.ts";

export interface JobData {
  workspaceId: string;
  payload: unknown;
  /** When the outbox row was written, in milliseconds since the epoch. */
  storedAtMs: number;
}

export interface OneJob extends JobData {
  id: string;
  name: string;
}

/** Nothing more to do, or the same again after a while. */
export type Result = { again: false } | { again: true; inMs: number };

export interface JobQueue {
  /** Returns when Redis has them. A job that is there already is not added again. */
  add(rows: readonly OutboxRow[]): Promise<void>;
  /** Whether Redis answers. */
  ping(): Promise<boolean>;
  /** Takes no more jobs and waits for those under way. */
  close(): Promise<void>;
}

const NAME = "outbox";
const REDIS_ANSWERS_WITHIN_MS = 5_000;
const LONGEST_AFTER_FAULT_MS = 60_000;

/**
 * The queue and its worker. Jobs never fail in Redis: after a fault they wait there and are tried again, until the outbox gives
 * them up.
 *
 * @param onConnected called whenever Redis is there (again), perhaps without what it was given before
 */
export function openQueue(
  env: Env,
  log: Logger,
  work: (job: OneJob) => Promise<Result>,
  onConnected: () => void,
): JobQueue {
  const options = { retryStrategy: (times: number) => Math.min(50 * times, 1_000), enableReadyCheck: true };
  // Adding fails at once while Redis is away, and the outbox keeps the row; taking waits for Redis.
  const adding = new Redis(env.REDIS_URL, { ...options, enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  const taking = new Redis(env.REDIS_URL, { ...options, maxRetriesPerRequest: null });
  let wasAway = true;
  const onError = (error: Error) => {
    if (!wasAway) log.warn({ err: error }, "redis is away");
    wasAway = true;
  };
  adding.on("error", onError);
  adding.on("close", () => onError(new Error("connection closed")));
  adding.on("ready", () => {
    wasAway = false;
    onConnected();
  });

  const queue = new Queue<JobData>(NAME, {
    connection: adding,
    prefix: env.QUEUE_PREFIX,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  const worker = new Worker<JobData>(NAME, (job, token) => process(job, token, work, log), {
    connection: taking,
    prefix: env.QUEUE_PREFIX,
    concurrency: env.WORKER_CONCURRENCY,
    // What a killed worker held is taken over within nine seconds.
    lockDuration: 6_000,
    stalledInterval: 3_000,
    maxStalledCount: 1_000,
    runRetryDelay: 500,
  });
  // Both report a lost connection again and again; `adding` has said it once.
  queue.on("error", () => {});
  taking.on("error", () => {});
  worker.on("error", (error) => {
    if (!wasAway) log.warn({ err: error }, "queue");
  });

  return {
    add: (rows) =>
      within(
        REDIS_ANSWERS_WITHIN_MS,
        queue.addBulk(
          rows.map(({ id, job, workspaceId, payload, createdAtMs }) => ({
            name: job,
            data: { workspaceId, payload, storedAtMs: createdAtMs },
            opts: { jobId: id },
          })),
        ),
      ).then(() => {}),
    ping: () =>
      within(1_000, adding.ping()).then(
        () => true,
        () => false,
      ),
    close: async () => {
      await worker.close();
      await queue.close();
      adding.disconnect();
      taking.disconnect();
    },
  };
}

async function process(
  job: Job<JobData>,
  token: string | undefined,
  work: (job: OneJob) => Promise<Result>,
  log: Logger,
): Promise<void> {
  const id = job.id ?? "";
  const result = await work({ id, name: job.name, ...job.data }).catch(async (error: unknown) => {
    // Somebody may have deleted what the job was about, and its row with it.
    const wanted = await isUnfinished(id).catch(() => true);
    log.error({ err: error, job: job.name, id, wanted }, "job failed");
    return wanted ? { again: true as const, inMs: afterFaultMs(job.attemptsStarted) } : { again: false as const };
  });
  if (result.again) {
    await job.moveToDelayed(Date.now() + result.inMs, token);
    throw new DelayedError();
  }
  // Unmarked, it would be done once more after a while, which changes nothing.
  await finish(id).catch((error: unknown) => log.warn({ err: error, id }, "job done but not marked"));
}

const afterFaultMs = (starts: number) =>
  Math.min(LONGEST_AFTER_FAULT_MS, 500 * 2 ** Math.min(starts, 10)) * (0.5 + Math.random() / 2);

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer from redis within ${ms} ms`)), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
