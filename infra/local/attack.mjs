// `npm run attack -- NAME`: attacks the VPN server of the demonstration that `npm start` keeps up.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { main, Problem } from "./progress.mjs";
import { ROOT } from "./services.mjs";

await main(async () => {
  if (process.getuid?.() !== 0) throw new Problem("The lab is made of network namespaces: run this as root.");
  if (!existsSync(join(ROOT, "node_modules/.bin/tsx")))
    throw new Problem("Run `npm start` first, in another terminal.");
  return new Promise((done, fail) => {
    const args = ["--import", "tsx", "attack.ts", ...process.argv.slice(2)];
    const child = spawn(process.execPath, args, { cwd: join(ROOT, "infra/local"), stdio: "inherit" });
    child.once("error", fail);
    child.once("exit", (code) => done(code ?? 1));
  });
});
