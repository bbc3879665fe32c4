import type { Tx } from "@flowtriq/db/client";
import { brand } from "@flowtriq/db/schema/brand";
import { alertDelivery, channel, type Transition } from "@flowtriq/db/schema/channel";
import { incident, incidentEvent } from "@flowtriq/db/schema/incident";
import { node } from "@flowtriq/db/schema/node";
import { workspace } from "@flowtriq/db/schema/workspace";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { and, eq, isNull, or, sql } from "drizzle-orm";
import { ZodError } from "zod";
import { audit } from "../audit.ts";
import { settingsOf } from "../channel.ts";
import { systemContext } from "../context.ts";
import { newId } from "../ids.ts";
import { notifyLive } from "../notify.ts";
import { enqueue } from "../outbox.ts";
import { deployment } from "../runtime.ts";
import { inTenant } from "../verb.ts";
import type { Alert, AlertBrand, IncidentAlert } from "./alert.ts";
import { CHANNEL_KINDS, type ChannelKind, renderAlert } from "./channels/index.ts";
import { openDoors } from "./doors.ts";
import type { Outbound, Outcome } from "./outbound.ts";
import { MAX_ATTEMPTS, retryDelayMs } from "./retry.ts";
import { durationWords } from "./words.ts";

/** What the worker is to do with the job: nothing more, or the same again after a while. */
export type Delivered = { again: false } | { again: true; inMs: number };

export interface DelivererOptions {
  outbound: Outbound;
  /** Where people find the dashboard; links in messages begin with it. */
  dashboardUrl: string;
}

export interface Deliverer {
  deliver(workspaceId: string, key: DeliveryKey): Promise<Delivered>;
  /** `id` names this test towards the receiver. */
  test(workspaceId: string, channelId: string, id: string): Promise<Delivered>;
}

export interface DeliveryKey {
  incidentId: string;
  channelId: string;
  transition: Transition;
}

/**
 * One row and one job for each of the workspace's channels, so that a broken one holds up no other. Harmless when repeated.
 *
 * @param storedAt when the transition was stored: what latency is counted from
 */
export async function fanOut(
  workspaceId: string,
  { incidentId, transition }: Omit<DeliveryKey, "channelId">,
  storedAt: Date,
): Promise<void> {
  const ctx = systemContext(workspaceId);
  await inTenant(ctx, async (tx) => {
    const targets = await tx.select({ id: channel.id }).from(channel).where(eq(channel.enabled, true));
    const [found] = await tx.select({ id: incident.id }).from(incident).where(eq(incident.id, incidentId));
    if (!found || targets.length === 0) return;
    const added = await tx
      .insert(alertDelivery)
      .values(
        targets.map(({ id: channelId }) => ({
          ...{ workspaceId, incidentId, channelId, transition },
          id: newId("alr"),
          status: "pending" as const,
          createdAt: storedAt,
        })),
      )
      .onConflictDoNothing()
      .returning({ channelId: alertDelivery.channelId });
    for (const { channelId } of added) await enqueue(tx, ctx, "alert.send", { incidentId, channelId, transition });
  });
}

/** The one sender. Sending again what was delivered does nothing. */
export function openDeliverer({ outbound, dashboardUrl }: DelivererOptions): Deliverer {
  const doors = openDoors();
  return {
    async deliver(workspaceId, key) {
      const found = await inTenant(systemContext(workspaceId), (tx) => load(tx, key));
      if (found?.delivery.status !== "pending") return { again: false };
      const { target } = found;
      const finish = (outcome: Outcome, now: Date) => record(workspaceId, key, found, outcome, now);

      if (!target.enabled) return finish({ result: "refused", reason: "the channel is switched off" }, new Date());
      const alert: Alert = { ...toAlert(found, dashboardUrl), sentAt: new Date() };
      const request = render(target, alert, found.brand);
      if ("result" in request) return finish(request, new Date());
      const outcome = await doors.through(
        target.id,
        () => outbound.send(request),
        ({ result }) => result === "retry",
      );
      if (!outcome) return { again: true, inMs: doors.turnedAwayMs(target.id) };
      return finish(outcome, new Date());
    },

    async test(workspaceId, channelId, id) {
      const found = await inTenant(systemContext(workspaceId), (tx) => loadChannel(tx, channelId));
      if (!found) return { again: false };
      const { target, workspace: owner } = found;
      const { id: targetId, name } = target;
      const alert: Alert = { about: "test", id, sentAt: new Date(), workspace: owner, channel: { id: targetId, name } };
      const request = render(target, alert, found.brand);
      const outcome = "result" in request ? request : await outbound.send(request);
      // Nobody waits for a test as for an alert: what came of it stands in the audit log, and it is not repeated.
      const ctx = systemContext(workspaceId);
      await inTenant(ctx, async (tx) => {
        if (outcome.result === "delivered") audit(tx, ctx, "channel.test_delivered", channelId);
        else audit(tx, ctx, "channel.test_failed", channelId, { reason: outcome.reason });
      });
      return { again: false };
    },
  };
}

type Target = { id: string; kind: string; name: string; enabled: boolean; settings: string };

function render(target: Target, alert: Alert, from: AlertBrand) {
  if (!isKind(target.kind)) return refused(`no such kind of channel: ${target.kind}`);
  try {
    return renderAlert(target.kind, alert, from, settingsOf(target), deployment());
  } catch (error) {
    // Saved under rules that have changed since. What cannot be unsealed is a fault of ours, and tried again.
    if (error instanceof ZodError)
      return refused(error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; "));
    throw error;
  }
}

const isKind = (kind: string): kind is ChannelKind => (CHANNEL_KINDS as readonly string[]).includes(kind);
const refused = (reason: string): Extract<Outcome, { result: "refused" }> => ({ result: "refused", reason });

const TARGET = {
  id: channel.id,
  kind: channel.kind,
  name: channel.name,
  enabled: channel.enabled,
  settings: channel.settings,
};
const OWNER = { id: workspace.id, name: workspace.name };
const BRAND = { name: brand.name, supportEmail: brand.supportEmail };
/** The workspace's own, or the default one, which belongs to nobody. */
const itsBrand = or(eq(brand.id, workspace.brandId), and(isNull(workspace.brandId), isNull(brand.workspaceId)));

async function load(tx: Tx, { incidentId, channelId, transition }: DeliveryKey) {
  const [found] = await tx
    .select({
      delivery: alertDelivery,
      target: TARGET,
      incident,
      node: { id: node.id, name: node.name, tunnels: node.tunnels },
      workspace: { ...OWNER, slug: workspace.slug },
      brand: BRAND,
    })
    .from(alertDelivery)
    .innerJoin(channel, eq(channel.id, alertDelivery.channelId))
    .innerJoin(incident, eq(incident.id, alertDelivery.incidentId))
    .innerJoin(node, eq(node.id, incident.nodeId))
    .innerJoin(workspace, eq(workspace.id, alertDelivery.workspaceId))
    .leftJoin(brand, itsBrand)
    .where(
      and(
        eq(alertDelivery.incidentId, incidentId),
        eq(alertDelivery.channelId, channelId),
        eq(alertDelivery.transition, transition),
      ),
    );
  return found && { ...found, brand: found.brand ?? DEFAULT_BRAND };
}
type Found = NonNullable<Awaited<ReturnType<typeof load>>>;

async function loadChannel(tx: Tx, channelId: string) {
  const [found] = await tx
    .select({ target: TARGET, workspace: OWNER, brand: BRAND })
    .from(channel)
    .innerJoin(workspace, eq(workspace.id, channel.workspaceId))
    .leftJoin(brand, itsBrand)
    .where(eq(channel.id, channelId));
  return found && { ...found, brand: found.brand ?? DEFAULT_BRAND };
}

function toAlert(found: Found, dashboardUrl: string): Omit<IncidentAlert, "sentAt"> {
  const { incident: row, node: host, workspace: owner, delivery } = found;
  // A node that has sent no whole second yet has counted them for its first event.
  const tunnels = row.endedAt ? row.tunnelsAfter : (host.tunnels ?? row.tunnelsLowest);
  // While it goes on: nobody, as long as all tunnels are there. Fewer have many reasons, and the node tells them at the end.
  const complete = tunnels !== null && row.tunnelsBefore !== null && tunnels >= row.tunnelsBefore;
  const soFar = !row.endedAt && complete ? 0 : null;
  const firstPacketAt = row.firstPacketAt ?? row.trippedAt ?? row.startedAt;
  return {
    about: "incident",
    id: delivery.id,
    transition: delivery.transition,
    workspace: { id: owner.id, name: owner.name },
    node: { id: host.id, name: host.name },
    incident: {
      id: row.id,
      url: new URL(`/${owner.slug}/incidents/${row.id}`, dashboardUrl).href,
      startedAt: row.startedAt,
      endedAt: row.endedAt,
      vector: row.vector,
      confidence: row.confidence,
      severity: row.severity,
      target: row.port && row.transport ? { port: row.port, transport: row.transport } : null,
      peakPps: row.peakPps,
      peakBps: row.peakBps,
      mode: row.mode,
      mitigatedAfterMs: row.rulesAt && Math.max(0, row.rulesAt.getTime() - firstPacketAt.getTime()),
      tunnels,
      tunnelsBefore: row.tunnelsBefore,
      usersDisconnected: row.usersDisconnected ?? soFar,
    },
  };
}

/** Writes what came of an attempt, and what a person should read of it in the incident's timeline. */
async function record(
  workspaceId: string,
  key: DeliveryKey,
  { delivery, target }: Found,
  outcome: Outcome,
  now: Date,
): Promise<Delivered> {
  const attempts = delivery.attempts + 1;
  const again = outcome.result === "retry" && attempts < MAX_ATTEMPTS;
  const delivered = outcome.result === "delivered";
  const latencyMs = Math.max(0, now.getTime() - delivery.createdAt.getTime());
  const response = (delivered ? `answered ${outcome.status}` : outcome.reason).slice(0, 300);

  await inTenant(systemContext(workspaceId, now), async (tx) => {
    const changed = await tx
      .update(alertDelivery)
      .set({
        attempts: sql`${alertDelivery.attempts} + 1`,
        response,
        ...(delivered && { status: "delivered", latencyMs, deliveredAt: now }),
        ...(!delivered && !again && { status: "failed" }),
      })
      .where(
        and(
          eq(alertDelivery.incidentId, key.incidentId),
          eq(alertDelivery.channelId, key.channelId),
          eq(alertDelivery.transition, key.transition),
          eq(alertDelivery.status, "pending"),
        ),
      )
      .returning({ id: alertDelivery.id });
    if (again || changed.length === 0) return;
    await tx
      .insert(incidentEvent)
      .values({
        workspaceId,
        incidentId: key.incidentId,
        id: delivery.id,
        at: now,
        actor: "alerts",
        kind: delivered ? "alert.delivered" : "alert.failed",
        text: delivered
          ? `${target.name} was told in ${durationWords(latencyMs)}`
          : `${target.name} could not be told: ${response}`,
        data: { channelId: target.id, channelKind: target.kind, transition: key.transition, latencyMs, attempts },
      })
      .onConflictDoNothing();
    await notifyLive(tx, workspaceId, { type: "incident", incidentId: key.incidentId, change: "alert" });
  });

  const asked = outcome.result === "retry" ? outcome.retryAfterMs : undefined;
  return again ? { again, inMs: retryDelayMs(attempts, Math.random(), asked) } : { again: false };
}
