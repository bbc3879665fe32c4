// Entry of the demonstration's process: settings in, SIGTERM ends it. Exit code 0 means that it cleaned up.
import { type DemoSettings, demonstrate } from "./demonstration.ts";
import { onPath } from "./processes.mjs";
import { replayRecorded } from "./recorded.ts";

const NEEDED = ["ip", "nft", "wg", "wireguard-go", "ping"];

const settings = JSON.parse(process.env.DEMO_SETTINGS ?? "null") as DemoSettings | null;
if (!settings) throw new Error("DEMO_SETTINGS is missing: this is started by `npm start`.");
const leave = new Promise<void>((resolve) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve());
});
const missing = NEEDED.filter((name) => !onPath(name));
const isRoot = process.getuid?.() === 0;
if (isRoot && missing.length > 0)
  console.log(`  Not there: ${missing.join(", ")}. The demonstration goes on without them.`);

try {
  await (isRoot && missing.length === 0 ? demonstrate : replayRecorded)(settings, leave);
  process.exit(0);
} catch (error) {
  console.error(`\nThe demonstration failed: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
