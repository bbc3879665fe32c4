// `npm run bench -- NAME`: the figures of the README, each a program in e2e/bench.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { main, Problem } from "./progress.mjs";
import { ROOT } from "./services.mjs";
import { setup } from "./setup.mjs";

const FOLDER = join(ROOT, "e2e/bench");

await main(async () => {
  const [name, ...rest] = process.argv.slice(2);
  const known = existsSync(FOLDER)
    ? readdirSync(FOLDER).flatMap((file) => /^([a-z0-9-]+)\.ts$/.exec(file)?.[1] ?? [])
    : [];
  if (!name || !known.includes(name)) {
    throw new Problem(`Usage: npm run bench -- NAME. Names: ${known.join(", ") || "none yet"}.`);
  }
  await setup({ systemPackages: true });
  return runToEnd(["--import", "tsx", `bench/${name}.ts`, ...rest], join(ROOT, "e2e"));
});

/** Ctrl-C reaches the program too, which then cleans up; this one waits for it. */
function runToEnd(args, cwd) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd, stdio: "inherit" });
    child.once("error", fail);
    child.once("exit", (code) => done(code ?? 1));
  });
}
