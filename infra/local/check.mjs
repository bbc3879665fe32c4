// `npm run check`: format, lint, rooms, types and unit tests. No database, no root.
import { main } from "./progress.mjs";
import { CHECKS, heading, runCheck, runVitest, summary } from "./runners.mjs";
import { setup } from "./setup.mjs";

await main(async () => {
  await setup({ systemPackages: false, builds: [] });
  const results = [];
  for (const check of CHECKS) {
    heading(check.name);
    results.push(await runCheck(check));
  }
  heading("unit tests");
  results.push(await runVitest("unit", { name: "unit tests" }));
  return summary(results);
});
