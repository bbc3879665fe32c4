import type { Logger } from "@flowtriq/services/log";
import { relayAgain, relayBatch } from "./outbox.ts";
import type { JobQueue } from "./queue.ts";

export interface Relay {
  /** Something may be waiting in the outbox. Cheap to call too often. */
  wake(): void;
  /** The queue may have lost what it was given: all unfinished rows are handed over again. */
  doubt(): void;
  stop(): Promise<void>;
}

const LONGEST_PAUSE_MS = 2_000;

/** Outbox to queue, one batch at a time; whatever wakes it meanwhile makes it look once more. */
export function startRelay(add: JobQueue["add"], log: Logger): Relay {
  let woken = false;
  let doubtful = false;
  let stopped = false;
  let running = Promise.resolve();
  let busy = false;
  let failures = 0;
  let pause: NodeJS.Timeout | undefined;

  async function run() {
    while (woken && !stopped) {
      woken = false;
      try {
        if (doubtful) {
          await relayAgain();
          doubtful = false;
        }
        if ((await relayBatch(add)) > 0) woken = true;
        failures = 0;
      } catch (error) {
        failures += 1;
        log.warn({ err: error, failures }, "relay waits");
        clearTimeout(pause);
        pause = setTimeout(wake, Math.min(LONGEST_PAUSE_MS, 50 * 2 ** failures));
        return;
      }
    }
  }

  function wake() {
    woken = true;
    if (busy || stopped) return;
    busy = true;
    running = run().finally(() => {
      busy = false;
      if (woken && failures === 0) wake();
    });
  }

  return {
    wake,
    doubt() {
      doubtful = true;
      wake();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(pause);
      await running;
    },
  };
}
