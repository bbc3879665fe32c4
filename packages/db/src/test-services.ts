import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type Service, startPostgres, startRedis } from "../../../infra/local/services.mjs";
import { createDatabase, dropDatabase } from "./test-database.ts";
import type {} from "./testing.ts";

/** Vitest's global set-up: real Postgres and Redis, those of DATABASE_URL and REDIS_URL where these are set. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { migrate } = await import("./migrate.ts");
  const dir = await mkdtemp(join(tmpdir(), "test-services-"));
  const started: Service[] = [];
  const stop = async () => {
    await Promise.all(started.map((service) => service.stop()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const postgres = await startPostgres({ dir, durable: false });
    started.push(postgres);
    const redis = await startRedis({ dir });
    started.push(redis);
    const templateUrl = await createDatabase(postgres.url);
    await migrate(templateUrl);
    project.provide("templateUrl", templateUrl);
    project.provide("redisUrl", redis.url);
    return async () => {
      await dropDatabase(templateUrl);
      await stop();
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
