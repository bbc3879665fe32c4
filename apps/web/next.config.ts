import type { NextConfig } from "next";

const config: NextConfig = {
  output: "standalone",
  // Packages of this repository export their TypeScript sources.
  transpilePackages: [
    "@flowtriq/db",
    "@flowtriq/detection",
    "@flowtriq/metrics",
    "@flowtriq/mitigation",
    "@flowtriq/protocol",
    "@flowtriq/services",
    "@flowtriq/theme",
  ],
  serverExternalPackages: ["@node-rs/argon2", "postgres", "pino"],
  outputFileTracingRoot: new URL("../..", import.meta.url).pathname,
  turbopack: { root: new URL("../..", import.meta.url).pathname },
  poweredByHeader: false,
  devIndicators: false,
  reactStrictMode: true,
  experimental: { authInterrupts: true },
};

export default config;
