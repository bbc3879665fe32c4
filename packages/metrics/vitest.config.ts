import { defineConfig } from "vitest/config";

export default defineConfig({ test: { globalSetup: "../db/src/test-services.ts", include: ["src/**/*.test.ts"] } });
