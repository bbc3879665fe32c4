// Compiles the agent with its runtime into one file, dist/<agent name>, and writes its manual page from its own table of commands.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
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

const today = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000) * 1000).toISOString();
const print = `
  const { manualPage } = await import("./src/manual.ts");
  const { NAME } = await import("./src/usage.ts");
  console.log(JSON.stringify({ name: NAME, page: manualPage(${JSON.stringify(today)}) }));
`;
const { name, page } = JSON.parse(execFileSync(bun, ["-e", print], { cwd: here, encoding: "utf8" }));
mkdirSync(path.join(here, "man"), { recursive: true });
writeFileSync(path.join(here, "man", `${name}.8`), page);
