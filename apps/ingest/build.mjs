// One file, run by Node alone: node dist/main.mjs
import { build } from "esbuild";

await build({
  entryPoints: [new URL("src/main.ts", import.meta.url).pathname],
  outfile: process.argv[2] ?? new URL("dist/main.mjs", import.meta.url).pathname,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: "linked",
  // CommonJS packages inside an ES module ask for these.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  // Native, and never reached from here.
  external: ["@node-rs/argon2"],
  logLevel: "warning",
});
