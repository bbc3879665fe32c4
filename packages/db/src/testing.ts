import postgres from "postgres";
import { inject } from "vitest";
import { type Database, openDatabase, useDatabase } from "./client.ts";
import { createDatabase, dropDatabase, nameOf } from "./test-database.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A migrated database; each test file copies it with `freshDatabase()`. */
    templateUrl: string;
    redisUrl: string;
  }
}

export type TestDatabase = Database & {
  url: string;
  /** The database's owner, whom no policy binds: to tamper, to lock, to cut connections. */
  owner: postgres.Sql;
  drop(): Promise<void>;
};

/** A migrated database of this test file's own, made the process's database; call `drop()` in afterAll. */
export async function freshDatabase(): Promise<TestDatabase> {
  const template = inject("templateUrl");
  const url = await createDatabase(template, nameOf(template));
  const opened = useDatabase(openDatabase({ url, connections: 5, systemConnections: 3 }));
  const owner = postgres(url, { max: 1, onnotice: () => {} });
  return {
    ...opened,
    url,
    owner,
    drop: async () => {
      await Promise.all([opened.close(), owner.end({ timeout: 5 })]);
      await dropDatabase(url);
    },
  };
}
