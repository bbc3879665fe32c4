import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Receiver, startReceiver } from "@flowtriq/fakes/receiver";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { type Stack, startStack } from "../../infra/local/stack.mjs";

export const WIDTHS = { wide: { width: 1280, height: 860 }, phone: { width: 360, height: 780 } } as const;
export type Theme = "light" | "dark";

export type Dashboard = {
  stack: Stack & { demo: NonNullable<Stack["demo"]> };
  /** Takes the demonstration's alerts. */
  receiver: Receiver;
  /** Address of the demo workspace. */
  home: string;
  /** A page of somebody who is signed in to the demo workspace; its problems are collected. */
  open(path: string, look?: Look): Promise<OpenPage>;
  /** A page of nobody. */
  visit(url: string, look?: Look): Promise<OpenPage>;
  /** The session cookie of the demo's owner, as a Cookie header. */
  cookie(): Promise<string>;
  stop(): Promise<void>;
};
export type Look = { theme?: Theme; size?: { width: number; height: number } };
export type OpenPage = { page: Page; problems: string[]; close(): Promise<void> };

/** The built dashboard, ingest and worker (`npm run setup` builds them) on stores of their own, and a browser. Whoever starts it stops it. */
export async function startDashboard(): Promise<Dashboard> {
  const dir = mkdtempSync(join(tmpdir(), "dashboard-"));
  const undo: (() => Promise<unknown>)[] = [async () => rmSync(dir, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of undo.splice(0).reverse()) await end();
  };
  try {
    const stack = await startStack({ dir, ports: { web: 0, ingest: 0, worker: 0, receiver: 0 } });
    undo.push(() => stack.stop());
    const { demo } = stack;
    if (!demo) throw new Error("The stack was started without its demo workspace.");
    const receiver = await startReceiver({ port: stack.receiver.port, webhookSecret: stack.receiver.webhookSecret });
    undo.push(() => receiver.stop());
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-background-networking"],
    });
    undo.push(() => browser.close());
    const signedIn = once(() => signIn(browser, stack.webUrl, demo));
    const visit = (url: string, look: Look = {}, state?: SignedIn) => openPage(browser, url, look, state);
    const home = `${stack.webUrl}/${demo.workspace}`;
    return {
      stack: { ...stack, demo },
      receiver,
      home,
      visit,
      open: async (path, look) => visit(home + path, look, await signedIn()),
      cookie: async () => (await signedIn()).cookies.map(({ name, value }) => `${name}=${value}`).join("; "),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type SignedIn = Awaited<ReturnType<BrowserContext["storageState"]>>;

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}

export async function fillSignIn(page: Page, { email, password }: { email: string; password: string }) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function signIn(browser: Browser, webUrl: string, demo: NonNullable<Stack["demo"]>): Promise<SignedIn> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`${webUrl}/sign-in`);
    await fillSignIn(page, demo);
    await page.waitForURL(`${webUrl}/${demo.workspace}`);
    return await context.storageState();
  } finally {
    await context.close();
  }
}

async function openPage(browser: Browser, url: string, look: Look, storageState?: SignedIn): Promise<OpenPage> {
  const context = await browser.newContext({
    storageState,
    viewport: look.size ?? WIDTHS.wide,
    colorScheme: look.theme ?? "light",
    reducedMotion: "reduce",
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(url);
  return { page, problems, close: () => context.close() };
}

/** Resolves when the page's live stream is open. */
export const untilLive = (page: Page): Promise<unknown> =>
  page.getByRole("button", { name: /^(Live|Silent)/ }).waitFor({ state: "visible" });
