import { openLog } from "@flowtriq/services/log";
import { readEnv } from "./env.ts";
import { startIngest } from "./ingest.ts";

const END_WITHIN_MS = 15_000;

const env = environment();
const log = openLog("ingest", env.LOG_LEVEL);
const ingest = await startIngest(env, log).catch((error: unknown) => {
  log.fatal({ err: error }, "ingest did not start");
  process.exit(1);
});
log.info({ url: ingest.url }, "listening");

let ending = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (ending) process.exit(1); // a second one is impatience
    ending = true;
    log.info({ signal }, "ending");
    setTimeout(() => process.exit(1), END_WITHIN_MS).unref();
    ingest.stop().then(
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
