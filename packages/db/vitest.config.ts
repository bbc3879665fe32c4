import { defineConfig } from "vitest/config";

export default defineConfig({ test: { globalSetup: "./src/test-services.ts", include: ["src/**/*.test.ts"] } });
