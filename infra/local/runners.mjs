// Everything that can pass or fail, one runner each, with results that add up.
import { spawn } from "node:child_process";

import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "./progress.mjs";
import { ROOT } from "./services.mjs";

const BIN = join(ROOT, "node_modules/.bin");
const REPORTS = join(ROOT, ".local/reports");

/** @typedef {{ name: string, passed: number, failed: number, skipped: number, took: string, note?: string }} Result */

/** Format, lint, import rules of the rooms, types: each counts as one. */
export const CHECKS = [
  { name: "format and lint", command: [join(BIN, "biome"), "check", "--error-on-warnings", "."] },
  {
    name: "rooms",
    command: [join(BIN, "depcruise"), "--config", ".dependency-cruiser.cjs", "apps", "packages", "e2e", "infra/local"],
  },
  { name: "types", command: [join(BIN, "turbo"), "run", "typecheck", "--output-logs=errors-only", "--continue"] },
];

export function heading(text) {
  console.log(`\n━━ ${text} ${"━".repeat(Math.max(0, 76 - text.length))}`);
}

/** @returns {Promise<Result>} */
export async function runCheck({ name, command }, env = {}) {
  const began = performance.now();
  const code = await inherit(command, env);
  const note = typeof code === "string" ? code : undefined;
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, took: seconds(began), note };
}

/** One vitest project of the root configuration. A crash and an empty run count as a failure. @returns {Promise<Result>} */
export async function runVitest(project, { name = project, env = {}, minutes = 10, args = [] } = {}) {
  const began = performance.now();
  mkdirSync(REPORTS, { recursive: true });
  const report = join(REPORTS, `${project}.json`);
  rmSync(report, { force: true });
  const command = [
    join(BIN, "vitest"),
    ...["run", "--root", ROOT, "--config", join(ROOT, "infra/local/vitest.config.ts"), "--project", project],
    ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    ...args,
  ];
  const code = await inherit(command, env, minutes);
  const counted = existsSync(report)
    ? count(JSON.parse(readFileSync(report, "utf8")))
    : { passed: 0, failed: 0, skipped: 0 };
  const ran = counted.passed + counted.failed;
  const note =
    code !== 0 && counted.failed === 0 ? `the runner failed (${code})` : ran === 0 ? "no test ran" : undefined;
  return { name, ...counted, failed: counted.failed + (note ? 1 : 0), took: seconds(began), note };
}

function count(report) {
  // A file that could not be loaded has no test to count as failed.
  const broken = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export const skipped = (name, note) => ({
  name,
  passed: 0,
  failed: 0,
  skipped: 0,
  took: "–",
  note: `left out: ${note}`,
});

/** Prints the table and the last line; returns the exit code. */
export function summary(results) {
  heading("Summary");
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results) {
    const cells = ["passed", "failed", "skipped"].map((key) => {
      total[key] += result[key];
      return `${String(result[key]).padStart(6)} ${key}`;
    });
    const note = result.note ? `   ${result.note}` : "";
    console.log(`${result.name.padEnd(34)}${cells.join("")}   ${result.took.padStart(8)}${note}`);
  }
  console.log();
  console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

/** Resolves to the exit code, or to a word that says why there is none. */
function inherit([command, ...args], env, minutes = 10) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: {
        ...process.env,
        PATH: `${BIN}:${process.env.PATH ?? ""}`,
        TURBO_TELEMETRY_DISABLED: "1",
        NEXT_TELEMETRY_DISABLED: "1",
        ...env,
      },
    });
    let late = false;
    const timers = [
      setTimeout(() => {
        late = true;
        child.kill("SIGTERM");
      }, minutes * 60_000),
      setTimeout(() => child.kill("SIGKILL"), minutes * 60_000 + 20_000),
    ];
    const end = (how) => {
      for (const timer of timers) clearTimeout(timer);
      done(late ? `stopped after ${minutes} minutes` : how);
    };
    child.once("error", (error) => end(error.message));
    child.once("exit", (code, signal) => end(code ?? signal));
  });
}
