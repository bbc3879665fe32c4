// Compiles the agent with its runtime into one file, dist/<agent name>.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const bun = path.join(path.dirname(require.resolve("@oven/bun-linux-x64/package.json")), "bin", "bun");
execFileSync(
  bun,
  [
    "build",
    "--compile",
    "--minify",
    "--sourcemap=none",
    "src/main.ts",
    "--outfile",
    path.join(here, "dist", "ftagent"),
  ],
  { cwd: here, stdio: ["ignore", "ignore", "inherit"] },
);
