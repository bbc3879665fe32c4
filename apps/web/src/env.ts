import { z } from "zod";

const flag = z.enum(["true", "false"]).transform((value) => value === "true");

const Env = z.object({
  NODE_ENV: z.enum(["development", "production", "test"]).default("production"),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }),
  /** Sessions, tickets and sealed settings hang on it; the same in every process. */
  APP_SECRET: z.string().min(32, "at least 32 characters"),
  /** Where browsers find the live stream: an address, a path of this host, or `:4001/live` for another port of this host. */
  LIVE_URL: z
    .string()
    .regex(/^(https?:\/\/[^\s;,'"]+|\/[^\s;,'"]*|:\d{1,5}\/[^\s;,'"]*)$/, "an address, a path, or :port/path")
    .default("/live"),
  /** Whether a reverse proxy in front sets x-forwarded-host and x-forwarded-proto; otherwise they are ignored. */
  TRUST_PROXY: flag.default(false),
  /** Lets alert channels reach this machine itself: for the demonstration and tests. */
  ALERTS_ALLOW_LOOPBACK: flag.default(false),
});
export type Env = z.infer<typeof Env>;

let parsed: Env | undefined;

/** Read when first asked, so that a build needs no environment. Throws one error that names every bad variable. */
export function env(): Env {
  if (parsed) return parsed;
  const result = Env.safeParse(process.env);
  if (!result.success) {
    const problems = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new Error(`The environment of the dashboard is incomplete.\n  ${problems.join("\n  ")}`);
  }
  parsed = result.data;
  return parsed;
}
