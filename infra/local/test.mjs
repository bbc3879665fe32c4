// `npm test`: everything. What this machine cannot run is named, never silently left out.
import { readFileSync } from "node:fs";
import { onPath } from "./processes.mjs";
import { main, Problem } from "./progress.mjs";
import { CHECKS, heading, runCheck, runVitest, skipped, summary } from "./runners.mjs";
import { setup } from "./setup.mjs";

const isRoot = process.getuid?.() === 0;
const FLAGS = ["--no-system-packages"];

await main(async () => {
  const unknown = process.argv.slice(2).filter((flag) => !FLAGS.includes(flag));
  if (unknown.length > 0) throw new Problem(`Unknown: ${unknown.join(" ")}. Known: ${FLAGS.join(" ")}.`);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major === 20 && minor < 19) {
    throw new Problem(
      `The product runs on Node 20.9 and newer, but its test runner needs 20.19; this is ${process.version}.`,
    );
  }
  await setup({ systemPackages: !process.argv.includes("--no-system-packages"), tests: true });

  const results = [];
  const add = async (name, work) => {
    heading(name);
    results.push(await work());
  };
  for (const check of CHECKS) await add(check.name, () => runCheck(check));
  await add("unit tests", () => runVitest("unit", { name: "unit tests", minutes: 4 }));
  await add("services on real Postgres and Redis", () =>
    runVitest("stores", { name: "services on Postgres and Redis", minutes: 6 }),
  );
  await add("agent and lab in namespaces", () => {
    const obstacle = whyNoNamespaces();
    if (!obstacle) return runVitest("namespaces", { name: "agent and lab in namespaces", minutes: 22 });
    console.log(`Left out: ${obstacle}.`);
    return skipped("agent and lab in namespaces", obstacle);
  });
  await add("dashboard in Chromium", () => {
    const obstacle = onPath("chromium") ? undefined : "chromium is not installed";
    if (!obstacle) return runVitest("dashboard", { name: "dashboard in Chromium", minutes: 10 });
    console.log(`Left out: ${obstacle}.`);
    return skipped("dashboard in Chromium", obstacle);
  });
  return summary(results);
});

function whyNoNamespaces() {
  if (!isRoot) return "namespaces, tunnels and rules need root";
  const missing = ["ip", "nft", "wg", "wireguard-go", "openvpn", "charon-systemd", "swanctl"].filter(
    (name) => !onPath(name),
  );
  if (missing.length > 0) return `missing: ${missing.join(", ")}`;
  const effective = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`,
  );
  const [netAdmin, sysAdmin] = [12n, 21n];
  return ((effective >> netAdmin) & (effective >> sysAdmin) & 1n) === 1n
    ? undefined
    : "this container lacks CAP_NET_ADMIN or CAP_SYS_ADMIN";
}
