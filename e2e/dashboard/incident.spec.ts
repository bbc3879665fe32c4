import { afterAll, beforeAll, expect, test } from "vitest";
import { type Dashboard, startDashboard, untilLive } from "./harness.ts";
import { attackAt, begun, ended, ReportingNode } from "./node.ts";

let dashboard: Dashboard;
let node: ReportingNode;
beforeAll(async () => {
  dashboard = await startDashboard();
  node = await ReportingNode.enrol(dashboard.stack.ingestUrl, dashboard.stack.demo.enrolmentToken, "fra-03");
  await node.report([node.ready()], node.seconds(Date.now(), 90));
});
afterAll(() => dashboard?.stop());

test("an attack appears in the list, on the overview and in the bar of an open page, without a reload", async () => {
  const attack = attackAt(Date.now());
  const list = await dashboard.open("/incidents");
  const overview = await dashboard.open("");
  try {
    await Promise.all([untilLive(list.page), untilLive(overview.page)]);
    const loads: string[] = [];
    for (const { page } of [list, overview]) page.on("framenavigated", (frame) => loads.push(frame.url()));
    await list.page.getByText("No incident yet").waitFor();

    await node.report(begun(attack), node.seconds(Date.now(), 2, attack));
    const row = list.page.getByRole("row", { name: /UDP flood, fra-03/ });
    await row.waitFor();
    expect(await row.textContent()).toContain("9 ms");
    for (const { page } of [list, overview]) {
      await page.getByRole("status").getByText("Under attack: fra-03, UDP flood on 51820").waitFor();
    }
    await overview.page.getByRole("heading", { name: /fra-03 is under attack/ }).waitFor();

    await node.report(ended(attack, Date.now()), node.seconds(Date.now(), 1));
    await overview.page.getByRole("heading", { name: /No attack now/ }).waitFor();
    await list.page.getByText("Under attack:").waitFor({ state: "detached" });
    expect(loads).toEqual([]);
    expect([...list.problems, ...overview.problems]).toEqual([]);
  } finally {
    await list.close();
    await overview.close();
  }
});

test("the incident page tells the attack while it runs and when it is over, and can be acknowledged", async () => {
  const attack = attackAt(Date.now());
  await node.report(begun(attack), node.seconds(Date.now(), 3, attack));
  const { page, problems, close } = await dashboard.open(`/incidents/${attack.id}`);
  try {
    await page.getByRole("heading", { level: 1, name: "UDP flood on fra-03, WireGuard 51820" }).waitFor();
    const figure = (label: string) => page.locator("dl > div", { hasText: label });
    expect(await figure("First packet to first drop").textContent()).toContain("9 ms");
    expect(await figure("Peak arriving").textContent()).toContain("312 kpps");
    expect(await figure("Tunnels up now").textContent()).toContain("2,400");
    await page.getByText("99.6 % of packets carry no valid WireGuard message type.").waitFor();
    await page.getByText("@wg_idx counter accept").waitFor();
    await page.getByText("+31 ms").first().waitFor(); // the storing may fall on the same millisecond
    await untilLive(page);

    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("button", { name: "Acknowledged" }).waitFor();
    await page
      .getByText(/^Acknowledged by /)
      .first()
      .waitFor();

    await page.getByLabel("Note").fill("Carrier informed, ticket 4711.");
    await page.getByRole("button", { name: "Add note" }).click();
    await page.getByRole("listitem").getByText("Carrier informed, ticket 4711.").waitFor();

    await node.report(ended(attack, Date.now()), node.seconds(Date.now(), 1));
    await page.getByText("Nobody was disconnected.").waitFor();
    expect(await figure("Users disconnected").textContent()).toContain("0of 2,400");
    await page.getByRole("cell", { name: "9,412,008" }).waitFor();
    expect(problems).toEqual([]);
  } finally {
    await close();
  }
});

test("what nobody could tell is called unknown", async () => {
  const attack = attackAt(Date.now() - 60_000, 40_000, "wireguard_handshake_flood");
  await node.report([...begun(attack), ...ended(attack, Date.now() - 30_000, null)]);
  const { page, close } = await dashboard.open(`/incidents/${attack.id}`);
  try {
    await page.getByText("Whether anyone was disconnected is unknown: no source could tell.").waitFor();
    const figure = page.locator("dl > div", { hasText: "Users disconnected" });
    expect(await figure.textContent()).toContain("unknown");
  } finally {
    await close();
  }
});

test("filters and scale are part of the address", async () => {
  const { page, close } = await dashboard.open("/incidents?vector=wireguard_handshake_flood");
  try {
    await page.getByRole("row", { name: /WireGuard handshake flood/ }).waitFor();
    expect(await page.getByRole("row", { name: /UDP flood/ }).count()).toBe(0);
    await page.getByLabel("Kind").selectOption("");
    await page
      .getByRole("row", { name: /UDP flood/ })
      .first()
      .waitFor();
    expect(new URL(page.url()).search).toBe("");
  } finally {
    await close();
  }
});
