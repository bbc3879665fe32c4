// Builds what runs compiled, each part only when something it is made of has changed.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, step } from "./progress.mjs";
import { ROOT } from "./services.mjs";

const STAMPS = join(ROOT, ".local/stamps");
const NOT_SOURCE = new Set(["node_modules", "dist", ".next", ".turbo", "coverage", "test", "fixtures", "man"]);

/** What is built, from which package, and the file that proves it. */
export const BUILDS = {
  agent: { folder: "packages/agent", output: "dist/ftagent", build: (options) => node("build.mjs", options) },
  ingest: { folder: "apps/ingest", output: "dist/main.mjs", build: (options) => node("build.mjs", options) },
  worker: { folder: "apps/worker", output: "dist/main.mjs", build: (options) => node("build.mjs", options) },
  web: { folder: "apps/web", output: ".next/standalone/apps/web/server.js", build: buildWeb },
};

const node = (script, options) => run(process.execPath, [script], options);

export async function build(names = Object.keys(BUILDS)) {
  for (const name of names) {
    const part = BUILDS[name];
    const cwd = join(ROOT, part.folder);
    const hash = hashOf(sources(part.folder));
    if (stamped(name, hash) && existsSync(join(cwd, part.output))) continue;
    await step(`Building ${name}`, async (say) => {
      await part.build({ cwd, env: buildEnv(), log: join(ROOT, `.local/log/build-${name}.log`), onLine: say });
      stamp(name, hash);
    });
  }
}

async function buildWeb(options) {
  const output = join(options.cwd, ".next");
  rmSync(join(output, "standalone"), { recursive: true, force: true });
  await run(join(options.cwd, "node_modules/.bin/next"), ["build"], options);
  const standalone = join(output, "standalone/apps/web");
  cpSync(join(output, "static"), join(standalone, ".next/static"), { recursive: true });
  const publicFiles = join(options.cwd, "public");
  if (existsSync(publicFiles)) cpSync(publicFiles, join(standalone, "public"), { recursive: true });
}

const buildEnv = () => ({
  ...process.env,
  NODE_ENV: "production",
  NEXT_TELEMETRY_DISABLED: "1",
  TURBO_TELEMETRY_DISABLED: "1",
});

/** Folders of a package and of every workspace package that it is built from. */
function sources(folder, seen = new Set()) {
  if (seen.has(folder)) return seen;
  seen.add(folder);
  const { dependencies = {} } = JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
  for (const [name, version] of Object.entries(dependencies)) {
    if (version.startsWith("workspace:")) sources(`packages/${name.split("/")[1]}`, seen);
  }
  return seen;
}

/** One hash over paths and contents; tests are left out, since they build nothing. */
export function hashOf(folders, more = ["pnpm-lock.yaml", "tsconfig.base.json", "infra/local/build.mjs"]) {
  const hash = createHash("sha256").update(process.version);
  const visit = (path) => {
    for (const entry of readdirSync(join(ROOT, path), { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const below = `${path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!NOT_SOURCE.has(entry.name)) visit(below);
      } else if (entry.isFile() && !/\.test\.tsx?$|\.tsbuildinfo$|^next-env\.d\.ts$/.test(entry.name)) {
        hash
          .update(`${below}\0`)
          .update(readFileSync(join(ROOT, below)))
          .update("\0");
      }
    }
  };
  for (const folder of [...folders].sort()) visit(folder);
  for (const file of more) hash.update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

export function stamped(name, hash) {
  const file = join(STAMPS, name);
  return existsSync(file) && readFileSync(file, "utf8") === hash;
}

export function stamp(name, hash) {
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(join(STAMPS, name), hash);
}
