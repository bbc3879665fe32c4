import { openServices } from "@flowtriq/services/open";
import { env } from "../env.ts";

const KEY = Symbol.for("flowtriq.web.connected");
const holder = globalThis as { [KEY]?: true };

/** Gives services their database and secret. Once per process, however many copies of this module a bundler makes. */
export function connect(): void {
  if (holder[KEY]) return;
  const { DATABASE_URL, APP_SECRET, ALERTS_ALLOW_LOOPBACK } = env();
  openServices({
    databaseUrl: DATABASE_URL,
    secret: APP_SECRET,
    deployment: { allowLoopback: ALERTS_ALLOW_LOOPBACK },
  });
  holder[KEY] = true;
}
