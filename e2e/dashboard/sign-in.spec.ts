import { request } from "node:http";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Dashboard, fillSignIn, startDashboard } from "./harness.ts";

let dashboard: Dashboard;
beforeAll(async () => {
  dashboard = await startDashboard();
});
afterAll(() => dashboard?.stop());

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: string };

/** fetch does not let one choose the Host; this does. */
function ask(path: string, headers: Record<string, string>, { method = "GET", body = "" } = {}): Promise<Answer> {
  const { hostname, port } = new URL(dashboard.stack.webUrl);
  return new Promise((resolve, reject) => {
    const asked = request({ host: hostname, port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    asked.on("error", reject).end(body);
  });
}

const host = () => new URL(dashboard.stack.webUrl).host;

test("a wrong password lets nobody in and says so, the right one opens the overview, signing out ends it", async () => {
  const { page, problems, close } = await dashboard.visit(`${dashboard.home}/nodes`);
  try {
    await page.waitForURL(/\/sign-in/);
    await fillSignIn(page, { email: dashboard.stack.demo.email, password: "not the password" });
    await page.getByText("That email and password do not belong together.").waitFor();
    expect(await page.getByLabel("Email").inputValue()).toBe(dashboard.stack.demo.email);

    await fillSignIn(page, dashboard.stack.demo);
    await page.waitForURL(`${dashboard.home}/nodes`);
    await page.getByRole("heading", { name: "Nodes", level: 1 }).waitFor();

    await page.getByRole("button", { name: /account$/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.waitForURL(/\/sign-in/);
    await page.goto(dashboard.home);
    await page.waitForURL(/\/sign-in/);
    expect(problems).toEqual([]);
  } finally {
    await close();
  }
});

test("a link in the sign-in address leads nowhere else than to this host", async () => {
  const { page, close } = await dashboard.visit(`${dashboard.stack.webUrl}/sign-in?next=//evil.example/x`);
  try {
    await fillSignIn(page, dashboard.stack.demo);
    await page.waitForURL(dashboard.home);
  } finally {
    await close();
  }
});

test("a session of one host is nobody's on another, whatever the cookie says", async () => {
  const cookie = await dashboard.cookie();
  const path = `/${dashboard.stack.demo.workspace}`;
  const own = await ask(path, { host: host(), cookie });
  expect(own.status).toBe(200);

  const sql = postgres(dashboard.stack.databaseUrl, { max: 1 });
  try {
    await sql`insert into brand (id, workspace_id, name, agent_name, support_email)
      values ('brd_other', null, 'Quiet Tunnels', 'qtagent', 'help@quiet.example')`;
    await sql`insert into domain (host, workspace_id, brand_id, status, verified_at)
      values ('noc.quiet.example', null, 'brd_other', 'verified', now())`;
  } finally {
    await sql.end();
  }
  for (const other of ["noc.quiet.example", host().replace("localhost", "127.0.0.1")]) {
    const replayed = await ask(path, { host: other, cookie });
    expect(replayed.status, other).toBe(307);
    expect(replayed.headers.location, other).toContain("/sign-in");
    const asked = await ask("/api/trpc/overview.get", { host: other, cookie });
    expect(asked.status, other).toBe(401);
  }
  const branded = await ask("/sign-in", { host: "noc.quiet.example" });
  expect(branded.body).toContain("Quiet Tunnels");
  expect(branded.body).toContain("help@quiet.example");
  expect(branded.body).not.toContain(DEFAULT_BRAND.name);
});

test("an unknown host gets a plain 404 without a brand, also when it claims to be another", async () => {
  for (const claimed of ["x-brand-host", "x-forwarded-host", "x-nothing"]) {
    const answer = await ask("/sign-in", { host: "unknown.example", [claimed]: host() });
    expect(answer.status).toBe(404);
    expect(answer.headers["content-type"]).toContain("text/plain");
    expect(answer.body).toBe("Not found\n");
  }
});

test.each(["bad host", "a".repeat(260), "evil.example:99999999", "../x", "'; drop table brand; --"])(
  "a hostile Host header is a 404 and no fault: %s",
  async (bad) => {
    expect((await ask("/sign-in", { host: bad })).status).toBe(404);
  },
);

test("a write that another site began is refused", async () => {
  const headers = {
    host: host(),
    cookie: await dashboard.cookie(),
    origin: "https://evil.example",
    "content-type": "application/json",
  };
  const answer = await ask("/api/trpc/live.ticket", headers, { method: "POST", body: "{}" });
  expect(answer.status).toBe(403);
});

test("every page carries a strict content security policy with a nonce of its own", async () => {
  const [one, two] = await Promise.all([ask("/sign-in", { host: host() }), ask("/sign-in", { host: host() })]);
  const policy = String(one.headers["content-security-policy"]);
  expect(policy).toMatch(/script-src 'self' 'nonce-[^']+' 'strict-dynamic';/);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("unsafe-eval");
  expect(policy).not.toBe(two.headers["content-security-policy"]);
  expect(one.headers["x-content-type-options"]).toBe("nosniff");
  expect(one.headers["x-powered-by"]).toBeUndefined();
});

test("without a session every procedure answers 401 and tells nothing", async () => {
  for (const procedure of [
    "overview.get",
    "incident.list",
    "node.list",
    "policy.get",
    "channel.list",
    "traffic.series",
  ]) {
    const input = encodeURIComponent(JSON.stringify({ json: {} }));
    const answer = await ask(`/api/trpc/${procedure}?input=${input}`, { host: host() });
    expect(answer.status, procedure).toBe(401);
  }
});
