import { randomBytes } from "node:crypto";
import { withSystem } from "@flowtriq/db/client";
import { user } from "@flowtriq/db/schema/workspace";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { eq } from "drizzle-orm";
import { ensureDefault } from "./brand.ts";
import * as channel from "./channel.ts";
import { type Context, systemContext } from "./context.ts";
import { membershipsOf } from "./lookup.ts";
import * as node from "./node.ts";
import * as policy from "./policy.ts";
import * as workspace from "./workspace.ts";

export const DEMO_EMAIL = `demo@${DEFAULT_BRAND.supportEmail.split("@")[1]}`;
export const DEMO_PASSWORD = "keep-every-tunnel-up";

export type DemoInput = {
  /** Hosts on which the default brand answers. */
  hosts?: readonly string[];
  /** Where the demonstration's own receiver listens; each given URL becomes a channel. */
  slackUrl?: string;
  webhookUrl?: string;
  /** Standard Webhooks secret, `whsec_…`; made up if absent. */
  webhookSecret?: string;
};

/**
 * A workspace to look around in, its owner, and what the demonstration needs. A second run keeps all data, renews the
 * channels' addresses and gives a new enrolment token. No incident is invented: they come from real attacks.
 */
export async function seed(input: DemoInput = {}, now = new Date()) {
  await ensureDefault(input.hosts ?? ["localhost", "127.0.0.1"], now);
  const { workspaceId, slug, created } = await demoWorkspace(now);
  const ctx = systemContext(workspaceId, now);
  if (created) await policy.update(ctx, { policy: { ...DEFAULT_POLICY, mode: "enforce" } });
  if (input.slackUrl) await renew(ctx, "slack", "Demonstration (Slack)", { url: input.slackUrl });
  if (input.webhookUrl) {
    const secret = input.webhookSecret ?? `whsec_${randomBytes(32).toString("base64")}`;
    await renew(ctx, "webhook", "Demonstration (webhook)", { url: input.webhookUrl, secret });
  }
  const { token } = await node.createEnrolmentToken(ctx, {
    label: "Demonstration",
    pop: "fra",
    region: "eu-central",
    tags: ["demonstration"],
  });
  return { workspaceId, slug, email: DEMO_EMAIL, password: DEMO_PASSWORD, enrolmentToken: token };
}

async function demoWorkspace(now: Date): Promise<{ workspaceId: string; slug: string; created: boolean }> {
  const [owner] = await withSystem((tx) => tx.select({ id: user.id }).from(user).where(eq(user.email, DEMO_EMAIL)));
  const [kept] = owner ? await membershipsOf(owner.id) : [];
  if (kept) return { workspaceId: kept.workspaceId, slug: kept.slug, created: false };
  const made = await workspace.create(
    { actor: { kind: "system" }, now },
    { workspaceName: "Demo", ownerName: "Demo Owner", email: DEMO_EMAIL, password: DEMO_PASSWORD },
  );
  return { ...made, created: true };
}

async function renew(ctx: Context, kind: "slack" | "webhook", name: string, settings: Record<string, unknown>) {
  const known = (await channel.list(ctx, {})).find((item) => item.kind === kind && item.name === name);
  if (known) await channel.update(ctx, { channelId: known.id, settings });
  else await channel.create(ctx, { kind, name, settings });
}
