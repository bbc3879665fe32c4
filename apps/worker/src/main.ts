import { openLog } from "@flowtriq/services/log";
import { readEnv } from "./env.ts";
import { startWorker } from "./worker.ts";

const END_WITHIN_MS = 15_000;

const env = environment();
const log = openLog("worker", env.LOG_LEVEL);
const worker = await startWorker(env, log);

let ending = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    // A second one is impatience.
    if (ending) process.exit(1);
    ending = true;
    log.info({ signal }, "ending");
    setTimeout(() => process.exit(1), END_WITHIN_MS).unref();
    worker.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "ending");
        process.exit(1);
      },
    );
  });
}

function environment() {
  try {
    return readEnv();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
