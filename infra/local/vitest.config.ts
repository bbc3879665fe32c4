import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { ROOT } from "./services.mjs";

/** Rooms whose tests talk to a real Postgres or Redis. */
const STORES = ["packages/db", "packages/metrics", "packages/services", "apps/ingest", "apps/worker"];
/** Tests that build network namespaces, tunnels and rules: root, and one at a time. */
const NAMESPACES = ["packages/lab/test/**/*.test.ts", "packages/*/test/**/*.net.test.ts", "e2e/agent/**/*.test.ts"];
const IGNORED = ["**/node_modules/**", "**/dist/**", "**/.next/**"];

const serial = { fileParallelism: false, maxWorkers: 1 };

/** All tests by what they need. Not at the root, where vitest would take it for every package. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          // Whole captures cut at every length take their time on a busy machine.
          testTimeout: 60_000,
          include: ["{packages,apps}/*/{src,test}/**/*.test.{ts,tsx}"],
          exclude: [...IGNORED, ...NAMESPACES, "**/*.{db,net}.test.ts", ...STORES.map((room) => `${room}/**`)],
        },
      },
      {
        test: {
          name: "stores",
          // One Postgres and one Redis for all; each test file has a database of its own.
          globalSetup: join(ROOT, "packages/db/src/test-services.ts"),
          include: [
            ...STORES.map((room) => `${room}/{src,test}/**/*.test.ts`),
            "{packages,apps}/*/{src,test}/**/*.db.test.ts",
            "e2e/local/**/*.test.ts",
          ],
          exclude: IGNORED,
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "namespaces",
          include: NAMESPACES,
          exclude: IGNORED,
          ...serial,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "dashboard",
          include: ["e2e/dashboard/**/*.spec.ts"],
          exclude: IGNORED,
          ...serial,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
