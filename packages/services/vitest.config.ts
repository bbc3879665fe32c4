import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    globalSetup: "../db/src/test-services.ts",
    include: ["src/**/*.test.ts"],
  },
});
