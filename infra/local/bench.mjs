// `npm run bench -- NAME`: the figures of the README, each a program in e2e/bench.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { main, Problem } from "./progress.mjs";
import { ROOT } from "./services.mjs";
import { setup } from "./setup.mjs";

const FOLDER = join(ROOT, "e2e/bench");

await main(async () => {
  const [name, ...rest] = process.argv.slice(2);
  const known = benches();
  if (!name || !known.includes(name)) throw new Problem(`Usage: npm run bench -- NAME. Names: ${known.join(", ")}.`);
  await setup({ systemPackages: true });
  return runToEnd(["--import", "tsx", `bench/${name}.ts`, ...rest], join(ROOT, "e2e"));
});

/** A benchmark begins by saying how it is called; what lies beside it without that helps the others. */
function benches() {
  const names = readdirSync(FOLDER).flatMap((file) => /^([a-z0-9-]+)\.ts$/.exec(file)?.[1] ?? []);
  return names.filter((name) =>
    readFileSync(join(FOLDER, `${name}.ts`), "utf8").includes(`* \`npm run bench -- ${name}`),
  );
}

/** Ctrl-C reaches the program too, which then cleans up; this one waits for it. */
function runToEnd(args, cwd) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { cwd, stdio: "inherit" });
    child.once("error", fail);
    child.once("exit", (code) => done(code ?? 1));
  });
}
