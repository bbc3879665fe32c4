import { sql } from "drizzle-orm";
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";

export type Db = PostgresJsDatabase;
export type Tx = Parameters<Parameters<Db["transaction"]>[0]>[0];

export type DatabaseOptions = {
  url: string;
  /** Connections that are bound to a tenant, per process. */
  connections?: number;
  /** Connections of look-ups, relay and roll-ups, per process. */
  systemConnections?: number;
};

export type Database = {
  app: Db;
  system: Db;
  /** The same connections without drizzle, for batches and LISTEN. */
  raw: { app: postgres.Sql; system: postgres.Sql };
  close(): Promise<void>;
};

/** Two pools, one for each role that the migrations make: see `tenancy.ts`. */
export function openDatabase({ url, connections = 10, systemConnections = 4 }: DatabaseOptions): Database {
  const pool = (role: string, max: number) =>
    // Both roles are taken at start-up, whoever logs in: an owner or a superuser would see everything.
    postgres(url, { max, connection: { role, application_name: role }, onnotice: () => {}, connect_timeout: 10 });
  const app = pool("app", connections);
  const system = pool("app_system", systemConnections);
  return {
    app: drizzle(app, { casing: "snake_case" }),
    system: drizzle(system, { casing: "snake_case" }),
    raw: { app, system },
    close: async () => {
      await Promise.all([app.end({ timeout: 5 }), system.end({ timeout: 5 })]);
    },
  };
}

// A bundler may load this module twice in one process (Next does): the connections are kept beside it.
const KEY = Symbol.for("flowtriq.database");
const holder = globalThis as { [KEY]?: Database };

/** Makes this the process's database. Returns it. */
export function useDatabase(database: Database): Database {
  holder[KEY] = database;
  return database;
}

export function database(): Database {
  const found = holder[KEY];
  if (!found) throw new Error("No database yet: call useDatabase(openDatabase({ url })) when the process starts.");
  return found;
}

/** One transaction in which only this workspace exists. */
export function withWorkspace<T>(workspaceId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return database().app.transaction(async (tx) => {
    await tx.execute(sql`select set_config('app.workspace', ${workspaceId}, true)`);
    return work(tx);
  });
}

/** One transaction over all workspaces: for what has no tenant yet, and for the relay and roll-ups. Never for a request's own data. */
export function withSystem<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  return database().system.transaction(work);
}
