import { afterAll, beforeAll, expect, test } from "vitest";
import { type Dashboard, startDashboard, untilLive } from "./harness.ts";
import { attackAt, begun, ReportingNode } from "./node.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await startDashboard();
});
afterAll(() => dashboard?.stop());

test("the page that adds a node turns by itself when the node reports", async () => {
  const { page, problems, close } = await dashboard.open("/nodes?add=true");
  try {
    await page.getByLabel("PoP").fill("Frankfurt");
    await page.getByRole("button", { name: "Create the command" }).click();
    const command = await page.getByLabel("Command that adds a node").inputValue();
    const token = /"token":"([^"]+)"/.exec(command)?.[1];
    expect(command).toContain(dashboard.stack.ingestUrl.replace("127.0.0.1", "localhost"));
    await page.getByText("Waiting for your node.").waitFor();

    const node = await ReportingNode.enrol(dashboard.stack.ingestUrl, token ?? "", "fra-01");
    await page.getByText("fra-01 has enrolled; waiting for its first report.").waitFor();
    await node.report([node.ready()], node.seconds(Date.now(), 3));
    await page.getByText("fra-01 reports.").waitFor();
    await page.getByRole("link", { name: "Show it" }).click();
    await page.getByRole("heading", { level: 1, name: /fra-01 is protected/ }).waitFor();
    await page.getByText("udp/51820 proven data").waitFor();
    expect(problems).toEqual([]);
  } finally {
    await close();
  }
});

test("a policy is checked before it is saved, and the page says how far it has come", async () => {
  const node = await ReportingNode.enrol(dashboard.stack.ingestUrl, dashboard.stack.demo.enrolmentToken, "ams-01");
  await node.report([node.ready()], node.seconds(Date.now(), 2));
  const { page, problems, close } = await dashboard.open("/policies");
  try {
    await untilLive(page);
    const list = page.getByLabel("Addresses and prefixes that are never blocked");
    await list.fill("192.0.2.0/24\n300.1.1.1");
    await page.getByText(/^300\.1\.1\.1 is no address or prefix/).waitFor();
    const save = page.getByRole("button", { name: /^Save/ });
    expect(await save.isDisabled()).toBe(true);

    await list.fill("192.0.2.0/24\n2001:db8::53");
    await page.getByLabel("Sensitivity").fill("4.5");
    await save.click();
    await page.getByText(/^Revision 3/).waitFor();
    const answer = await node.report([], node.seconds(Date.now(), 1));
    expect(answer.wantedRevision).toBe(3);
    const row = page.getByRole("row", { name: /ams-01/ });
    expect(await row.textContent()).toContain("on 2");
    node.revision = 3;
    await node.report([], node.seconds(Date.now(), 1));
    await row.getByText("applied").waitFor();
    expect(problems).toEqual([]);
  } finally {
    await close();
  }
});

test("channels can be added, tested and removed, and the log says how fast alerts arrived", async () => {
  const node = await ReportingNode.enrol(dashboard.stack.ingestUrl, dashboard.stack.demo.enrolmentToken, "lon-01");
  await node.report([node.ready(), ...begun(attackAt(Date.now()))]);
  const { page, problems, close } = await dashboard.open("/alerts");
  try {
    const row = page.getByRole("row", { name: /Attack begun: UDP flood, lon-01.*webhook/ });
    await row.getByText("delivered").waitFor();
    expect(await row.textContent()).toMatch(/\d+ (ms|s)/);

    await page.getByRole("button", { name: "Add channel" }).first().click();
    await page.getByText("Signed webhook", { exact: true }).last().click();
    const dialog = page.getByRole("dialog", { name: "Add a channel" });
    await dialog.getByLabel("Name").fill("pager");
    await dialog.getByLabel("Address").fill("http://192.168.0.1/hook");
    await dialog.getByRole("button", { name: "Add channel" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Address").fill(dashboard.receiver.webhookUrl);
    await dialog.getByRole("button", { name: "Add channel" }).click();
    expect(await dialog.getByLabel("Signing secret").inputValue()).toMatch(/^whsec_/);
    await dialog.getByRole("button", { name: "Done" }).click();

    const channel = page.getByRole("listitem").filter({ hasText: "Demonstration (webhook)" });
    await channel.getByRole("button", { name: "Send a test" }).click();
    await channel.getByText("A test message is on its way.").waitFor();

    const pager = page.getByRole("listitem").filter({ hasText: "pager" });
    await pager.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("dialog", { name: "Remove pager?" }).getByRole("button", { name: "Remove" }).click();
    await pager.waitFor({ state: "detached" });
    expect(problems.filter((problem) => !problem.includes("400"))).toEqual([]);
  } finally {
    await close();
  }
});

test("Ctrl K finds a node by a part of its name", async () => {
  const { page, close } = await dashboard.open("");
  try {
    await untilLive(page);
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Search or jump to…").fill("fra-0");
    await page.getByRole("option", { name: /fra-01/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/nodes\/nod_/);
  } finally {
    await close();
  }
});
