import { openDatabase, useDatabase } from "@flowtriq/db/client";
import { configureServices, type Runtime } from "./runtime.ts";

/** For a process that knows services alone: gives them their database and their secret. Resolves `close` when all work is done. */
export function openServices({ databaseUrl, ...runtime }: Runtime & { databaseUrl: string }): {
  close(): Promise<void>;
} {
  configureServices(runtime);
  return useDatabase(openDatabase({ url: databaseUrl }));
}
