import { z } from "zod";

const flag = z.enum(["true", "false"]).transform((value) => value === "true");

const Env = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  /** The same as the dashboard's: opens the sealed settings of channels. */
  APP_SECRET: z.string().min(32, "at least 32 characters"),
  /** Where people open the dashboard; links in alerts begin with it. */
  WEB_URL: z.url({ protocol: /^https?$/ }),
  /** Lets alerts go to loopback, also without TLS: for demonstrations and tests, never in production. */
  ALERTS_ALLOW_LOOPBACK: flag.default(false),
  /** Serves /healthz. 0 takes any free port, which is then logged. */
  WORKER_PORT: z.coerce.number().int().min(0).max(65535).default(0),
  WORKER_HOST: z.string().default("127.0.0.1"),
  /** Jobs done at the same time; most of them wait for somebody else's server. */
  WORKER_CONCURRENCY: z.coerce.number().int().min(1).max(500).default(64),
  /** Begins the names of all keys in Redis, for a Redis that is shared. */
  QUEUE_PREFIX: z
    .string()
    .regex(/^[\w-]{1,40}$/)
    .default("jobs"),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});
export type Env = z.infer<typeof Env>;

/** Throws one error that names every bad variable. */
export function readEnv(variables: Readonly<Record<string, string | undefined>> = process.env): Env {
  const result = Env.safeParse(variables);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The environment of the worker is incomplete.\n  ${problems.join("\n  ")}`);
}
