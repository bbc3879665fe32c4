import { z } from "zod";

const flag = z.enum(["true", "false"]).transform((value) => value === "true");

const Env = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  REDIS_URL: z.url({ protocol: /^rediss?$/ }),
  /** The same as the dashboard's: it signs the tickets of live streams. */
  APP_SECRET: z.string().min(32, "at least 32 characters"),
  HOST: z.string().default("127.0.0.1"),
  /** 0 takes any free port, which is then logged. */
  PORT: z.coerce.number().int().min(0).max(65535).default(4001),
  /** Origins whose pages may open live streams, with commas between; `*`: any, as the ticket alone decides. */
  LIVE_ORIGINS: z
    .string()
    .default("*")
    .transform((text) => text.split(",").map((origin) => origin.trim())),
  /** Whether the proxy in front sets x-forwarded-for; otherwise it is ignored. */
  TRUST_PROXY: flag.default(false),
  /** Connections to Postgres for reports with events; half as many more for the rest. */
  DATABASE_CONNECTIONS: z.coerce.number().int().min(2).max(200).default(10),
  /** Reports that may wait for their commit; more are refused with 503. */
  MAX_WAITING_REPORTS: z.coerce.number().int().min(1).max(100_000).default(5_000),
  /** Enrolments and refused keys per minute and client address. */
  ATTEMPTS_PER_MINUTE: z.coerce.number().int().min(1).max(100_000).default(60),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});
export type Env = z.infer<typeof Env>;

/** Throws one error that names every bad variable. */
export function readEnv(variables: Readonly<Record<string, string | undefined>> = process.env): Env {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
  const result = Env.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The environment of ingest is incomplete.\n  ${problems.join("\n  ")}`);
}
