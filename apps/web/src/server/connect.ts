import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { configureServices } from "@flowtriq/services/runtime";
import { env } from "../env.ts";

const KEY = Symbol.for("flowtriq.web.connected");
const holder = globalThis as { [KEY]?: true };

/** Gives services their database and secret. Once per process, however many copies of this module a bundler makes. */
export function connect(): void {
  if (holder[KEY]) return;
  holder[KEY] = true;
  const { DATABASE_URL, APP_SECRET, ALERTS_ALLOW_LOOPBACK } = env();
  useDatabase(openDatabase({ url: DATABASE_URL }));
  configureServices({ secret: APP_SECRET, deployment: { allowLoopback: ALERTS_ALLOW_LOOPBACK } });
}
