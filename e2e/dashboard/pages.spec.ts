import { mkdirSync } from "node:fs";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "playwright-core";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../infra/local/services.mjs";
import { type Dashboard, startDashboard, type Theme, untilLive, WIDTHS } from "./harness.ts";
import { attackAt, begun, ended, ReportingNode } from "./node.ts";

/** Every picture is written; those that documents show, into them. */
const SCREENS = join(ROOT, ".local/screens");
const DOCUMENTED = new Set([
  "overview-dark-wide",
  "overview-light-phone",
  "incident-light-wide",
  "incident-dark-wide",
  "node-light-wide",
]);
const NODES = ["ams-01", "ams-02", "fra-01", "fra-02", "fra-03", "lon-01"];
const PLACES: Record<string, string> = { ams: "Amsterdam", fra: "Frankfurt", lon: "London" };

let dashboard: Dashboard;
let attack = attackAt(Date.now());
let attacked: ReportingNode;
let beat: ReturnType<typeof setInterval> | undefined;
const reports: Promise<unknown>[] = [];

async function keep(page: Page, name: string) {
  const folder = DOCUMENTED.has(name) ? join(ROOT, "docs/screens") : SCREENS;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), scale: "css", fullPage: name.endsWith("-wide") });
}

/** Six nodes that report every second, one under attack, and attacks of the days before. */
beforeAll(async () => {
  dashboard = await startDashboard();
  const { ingestUrl, demo } = dashboard.stack;
  const nodes = await Promise.all(NODES.map((name) => ReportingNode.enrol(ingestUrl, demo.enrolmentToken, name)));
  attacked = nodes[4]!;
  const now = Date.now();
  await Promise.all(
    nodes.map(async (node, index) => {
      const before = attackAt(now - (index + 2) * 9 * 3_600_000, 60_000 + index * 45_000, "wireguard_handshake_flood");
      await node.report([node.ready(), ...begun(before), ...ended(before, before.startedAt + 61_000)]);
      for (const end of [now - 240_000, now - 120_000, now]) await node.report([], node.seconds(end, 120));
    }),
  );
  await place(nodes);
  attack = attackAt(Date.now() - 80);
  await attacked.report(begun(attack), attacked.seconds(Date.now(), 1, attack));
  beat = setInterval(() => {
    const at = Date.now();
    for (const node of nodes)
      reports.push(node.report([], node.seconds(at, 1, node === attacked ? attack : undefined)));
  }, 1000);
});
afterAll(async () => {
  clearInterval(beat);
  const refused = (await Promise.allSettled(reports)).filter(({ status }) => status === "rejected");
  await dashboard?.stop();
  expect(refused).toEqual([]);
});

/** One token enrolled them all; where each stands is told here. */
async function place(nodes: readonly ReportingNode[]) {
  const sql = postgres(dashboard.stack.databaseUrl, { max: 1 });
  try {
    for (const { id, name } of nodes)
      await sql`update node set pop = ${PLACES[name.slice(0, 3)] ?? null} where id = ${id}`;
  } finally {
    await sql.end();
  }
}

const ROUTES: [name: string, path: () => string][] = [
  ["overview", () => ""],
  ["incidents", () => "/incidents"],
  ["incident", () => `/incidents/${attack.id}`],
  ["nodes", () => "/nodes"],
  ["add-node", () => "/nodes?add=true"],
  ["node", () => `/nodes/${attacked.id}`],
  ["policies", () => "/policies"],
  ["alerts", () => "/alerts"],
  ["missing", () => "/nowhere"],
];
const themes: Theme[] = ["light", "dark"];
const sizes = Object.keys(WIDTHS) as (keyof typeof WIDTHS)[];

describe.each(themes)("in the %s theme", (theme) => {
  describe.each(sizes)("on a %s screen", (size) => {
    test.each(ROUTES)(
      "%s has no axe violation, no console message and nothing beside the screen",
      async (name, path) => {
        const { page, problems, close } = await dashboard.open(path(), { theme, size: WIDTHS[size] });
        try {
          await page.getByRole("heading", { level: 1 }).waitFor();
          if (name !== "missing") await untilLive(page);
          if (name === "node") await page.locator('section:has(h2:text("Lanes")) path[d*="L"]').first().waitFor();
          if (name === "add-node") await page.getByRole("dialog").waitFor();
          // Charts and figures have drawn what the first live seconds said.
          await page.waitForLoadState("networkidle").catch(() => {});
          const { violations } = await new AxeBuilder({ page }).analyze();
          expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
          expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
          // The address that is not there is a 404, which Chromium reports.
          expect(problems.filter((problem) => name !== "missing" || !problem.includes("404"))).toEqual([]);
          await keep(page, `${name}-${theme}-${size}`);
        } finally {
          await close();
        }
      },
    );

    test("sign-in has no axe violation and no console message", async () => {
      const url = `${dashboard.stack.webUrl}/sign-in`;
      const { page, problems, close } = await dashboard.visit(url, { theme, size: WIDTHS[size] });
      try {
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        const { violations } = await new AxeBuilder({ page }).analyze();
        expect(violations.map(({ id }) => id)).toEqual([]);
        expect(problems).toEqual([]);
        await keep(page, `sign-in-${theme}-${size}`);
      } finally {
        await close();
      }
    });
  });
});
