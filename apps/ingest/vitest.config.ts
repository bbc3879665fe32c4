import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { globalSetup: "../../packages/db/src/test-services.ts", include: ["src/**/*.test.ts"] },
});
