import type { Tx } from "@flowtriq/db/client";
import { channel } from "@flowtriq/db/schema/channel";
import { asc, eq } from "drizzle-orm";
import { z } from "zod";
import { CHANNEL_KINDS, type ChannelKind, channels } from "./alert/channels/index.ts";
import { audit } from "./audit.ts";
import { InvalidInput, NotFound } from "./errors.ts";
import { newId } from "./ids.ts";
import { enqueue } from "./outbox.ts";
import { deployment, seal, unseal } from "./runtime.ts";
import { parse, verb } from "./verb.ts";

type Row = typeof channel.$inferSelect;
const MAX_CHANNELS = 50;

export type ChannelSummary = Awaited<ReturnType<typeof list>>[number];

/** By name; of the settings only the host that messages go to, as the rest is secret. */
export const list = verb("viewer", z.strictObject({}), async (tx) => {
  const rows = await tx.select().from(channel).orderBy(asc(channel.name), asc(channel.id));
  return rows.map(summary);
});

const Name = z.string().trim().min(1).max(100);
const Settings = z.record(z.string().max(64), z.unknown());

export const CreateInput = z.strictObject({ kind: z.enum(CHANNEL_KINDS), name: Name, settings: Settings });

export const create = verb("admin", CreateInput, async (tx, ctx, { kind, name, settings }) => {
  const others = await tx.select({ id: channel.id }).from(channel);
  if (others.length >= MAX_CHANNELS) throw new InvalidInput(`A workspace has at most ${MAX_CHANNELS} channels.`);
  const id = newId("chn");
  const [row] = await tx
    .insert(channel)
    .values({
      id,
      workspaceId: ctx.workspaceId,
      kind,
      name,
      settings: sealed(id, kind, settings),
      createdAt: ctx.now,
      updatedAt: ctx.now,
    })
    .returning();
  audit(tx, ctx, "channel.created", id, { kind, name });
  return summary(row!);
});

export const UpdateInput = z.strictObject({
  channelId: z.string().max(64),
  name: Name.optional(),
  enabled: z.boolean().optional(),
  /** All of them: settings are replaced, never merged. */
  settings: Settings.optional(),
});

export const update = verb("admin", UpdateInput, async (tx, ctx, { channelId, name, enabled, settings }) => {
  const before = await find(tx, channelId);
  const change = {
    name: name ?? before.name,
    enabled: enabled ?? before.enabled,
    settings: settings ? sealed(channelId, before.kind as ChannelKind, settings) : before.settings,
    updatedAt: ctx.now,
  };
  const [row] = await tx.update(channel).set(change).where(eq(channel.id, channelId)).returning();
  const after = { name: change.name, enabled: change.enabled, settings: settings ? "replaced" : "kept" };
  audit(tx, ctx, "channel.updated", channelId, { before: { name: before.name, enabled: before.enabled }, after });
  return summary(row!);
});

export const ChannelInput = z.strictObject({ channelId: z.string().max(64) });

export const remove = verb("admin", ChannelInput, async (tx, ctx, { channelId }) => {
  const { kind, name } = await find(tx, channelId);
  await tx.delete(channel).where(eq(channel.id, channelId));
  audit(tx, ctx, "channel.removed", channelId, { kind, name });
});

/** Sends a test message, soon. */
export const test = verb("operator", ChannelInput, async (tx, ctx, { channelId }) => {
  await find(tx, channelId);
  await enqueue(tx, ctx, "channel.test", { channelId });
  audit(tx, ctx, "channel.tested", channelId);
});

/** The settings of a row, for the one who delivers. */
export const settingsOf = (row: Pick<Row, "id" | "settings">): unknown => JSON.parse(unseal(row.settings, row.id));

function sealed(id: string, kind: ChannelKind, settings: Record<string, unknown>): string {
  const schema: z.ZodType = channels[kind].settings(deployment());
  return seal(JSON.stringify(parse(schema, settings)), id);
}

function summary(row: Row) {
  const { id, kind, name, enabled, createdAt, updatedAt } = row;
  return { id, kind: kind as ChannelKind, name, enabled, createdAt, updatedAt, target: targetOf(row) };
}

/** Null when the settings cannot be opened, after APP_SECRET was changed: the list must still show. */
function targetOf(row: Row): string | null {
  try {
    const { url } = z.object({ url: z.string() }).parse(settingsOf(row));
    return new URL(url).host;
  } catch {
    return null;
  }
}

async function find(tx: Tx, channelId: string): Promise<Row> {
  const [found] = await tx.select().from(channel).where(eq(channel.id, channelId));
  if (!found) throw new NotFound("channel");
  return found;
}
