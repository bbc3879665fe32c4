import { pino } from "pino";
import { readEnv } from "./env.ts";
import { startWorker } from "./worker.ts";

const END_WITHIN_MS = 15_000;

const env = environment();
const log = pino({
  name: "worker",
  level: env.LOG_LEVEL,
  serializers: { err: brief },
});

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

/** Errors of drivers carry statements with their parameters, and addresses with their passwords: no more than this is logged. */
function brief(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error).slice(0, 200) };
  const root = error.cause instanceof Error ? error.cause : error;
  return {
    type: root.name,
    message: root.message.replace(/\s+/g, " ").slice(0, 200),
    ...("code" in root && { code: String(root.code) }),
    stack: root.stack
      ?.match(/^ {4}at .*/gm)
      ?.slice(0, 5)
      .join("\n"),
  };
}
