// `npm run setup`: installs and builds everything, starts nothing. Runs on plain Node, before any package is there.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = [20, 9];
const PNPM = "10.34.9";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(`Node ${OLDEST_NODE.join(".")} or newer is needed; this is ${process.version} (${process.execPath}).`);
  console.error("Install it from https://nodejs.org or your distribution, then run the same command again.");
  process.exit(1);
}

// After the check: these files use what an older Node does not know.
const { build, hashOf, stamp, stamped } = await import("./build.mjs");
const { systemPackages } = await import("./debian.mjs");
const { main, Problem, run, step } = await import("./progress.mjs");
const { postgresBinaries, ROOT } = await import("./services.mjs");

/**
 * Options: `systemPackages: false` leaves Debian packages to the user; `tests` adds those that only tests need;
 * `builds` names the parts to build (all by default).
 */
export async function setup({ systemPackages: allowed = true, tests = false, builds } = {}) {
  mkdirSync(join(ROOT, ".local/log"), { recursive: true });
  const unlock = await lock();
  try {
    await systemPackages({ allowed, tests });
    await npmPackages();
    if (!process.env.DATABASE_URL) postgresBinaries(); // restores links; says early when this platform has none
    await build(builds);
  } finally {
    unlock();
  }
}

/** Two set-ups at once would build over each other; the lock of a process that is gone counts for nothing. */
async function lock() {
  const file = join(ROOT, ".local/setup.lock");
  for (let waiting = false; ; waiting = true) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = Number(readFileSync(file, "utf8"));
    if (!isSetUp(owner)) rmSync(file, { force: true });
    else {
      if (!waiting) console.log(`… Waiting for the set-up of process ${owner}`);
      await new Promise((done) => setTimeout(done, 250));
    }
  }
}

function isSetUp(pid) {
  try {
    return /infra\/local\/\w+\.mjs/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  } catch {
    return false;
  }
}

async function npmPackages() {
  const manifests = [
    "package.json",
    "pnpm-workspace.yaml",
    "pnpm-lock.yaml",
    "e2e/package.json",
    "infra/local/package.json",
  ];
  for (const parent of ["apps", "packages"]) {
    for (const name of readdirSync(join(ROOT, parent))) {
      const manifest = `${parent}/${name}/package.json`;
      if (existsSync(join(ROOT, manifest))) manifests.push(manifest);
    }
  }
  const hash = hashOf([], manifests);
  if (stamped("npm", hash) && existsSync(join(ROOT, "node_modules/.modules.yaml"))) return;
  await step("Installing npm packages (pnpm)", async (say) => {
    const pnpm = ["-y", `pnpm@${PNPM}`, "install", "--frozen-lockfile", "--reporter=append-only"];
    await run("npx", pnpm, {
      cwd: ROOT,
      env: { ...process.env, CI: "true" }, // never asks
      log: join(ROOT, ".local/log/pnpm.log"),
      onLine: say,
      advice:
        "If the lockfile is out of date, run `npx pnpm@10 install` and commit it. Otherwise check the network and the npm registry, and run the same command again.",
    });
  });
  if (!existsSync(join(ROOT, "node_modules/.bin/tsx"))) {
    throw new Problem(
      "pnpm finished but node_modules is incomplete. Remove node_modules and run the same command again.",
    );
  }
  stamp("npm", hash);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const known = ["--no-system-packages", "--with-tests"];
    const unknown = process.argv.slice(2).filter((flag) => !known.includes(flag));
    if (unknown.length > 0) throw new Problem(`Unknown: ${unknown.join(" ")}. Known: ${known.join(" ")}.`);
    await setup({
      systemPackages: !process.argv.includes("--no-system-packages"),
      tests: process.argv.includes("--with-tests"),
    });
    console.log("Ready. `npm start` runs everything, `npm test` tests everything.");
  });
}
