import { randomBytes } from "node:crypto";
import { withSystem } from "@flowtriq/db/client";
import { aNode, anIncident, aWorkspace } from "@flowtriq/db/factories";
import { channel, type Transition } from "@flowtriq/db/schema/channel";
import { outbox } from "@flowtriq/db/schema/outbox";
import type { TestDatabase } from "@flowtriq/db/testing";
import type { Receiver } from "@flowtriq/fakes/receiver";
import type { ChannelKind } from "@flowtriq/services/alert/channels/index";
import { type NodeContext, systemContext } from "@flowtriq/services/context";
import { record } from "@flowtriq/services/incident";
import type { AttackEvent } from "@flowtriq/services/incident/fold";
import { enqueue } from "@flowtriq/services/outbox";
import { configureServices, seal } from "@flowtriq/services/runtime";
import { inTenant } from "@flowtriq/services/verb";
import { SECRET } from "./process.ts";

export interface World {
  workspaceId: string;
  /** Stores an incident as ingest does: the row and what must follow in one transaction. Returns its id. */
  incident(): Promise<string>;
  /** The same by way of what the node reports. */
  report(...events: AttackEvent[]): Promise<void>;
  ask(incidentId: string, transition: Transition): Promise<void>;
  /** Asks for a test message. */
  test(channelId: string): Promise<void>;
  /** A channel that ends at this receiver. Returns its id. */
  channel(kind: ChannelKind, receiver: Receiver, url?: string): Promise<string>;
  /** Resolves when every job that was asked for is done. */
  settled(): Promise<void>;
}

/** A workspace with one node, in the test's own database. `tunnels`: as its last second said; null before it has sent one. */
export async function aWorld(database: Pick<TestDatabase, "system">, tunnels: number | null = 42): Promise<World> {
  configureServices({ secret: SECRET, deployment: { allowLoopback: true } });
  const { id: workspaceId } = await aWorkspace();
  const node = await aNode(workspaceId, { tunnels });
  const ctx = systemContext(workspaceId);
  const ask = (incidentId: string, transition: Transition) =>
    inTenant(ctx, (tx) => enqueue(tx, ctx, "alert.deliver", { incidentId, transition }));

  return {
    workspaceId,
    ask,
    test: (channelId) => inTenant(ctx, (tx) => enqueue(tx, ctx, "channel.test", { channelId })),
    report: (...events) => {
      const asNode: NodeContext = { ...ctx, now: new Date(), actor: { kind: "node", nodeId: node.id } };
      return inTenant(asNode, (tx) => record(tx, asNode, events));
    },
    async incident() {
      const { id } = await anIncident(workspaceId, node.id, { port: 51820, transport: "udp", tunnelsBefore: 42 });
      await ask(id, "opened");
      return id;
    },
    async channel(kind, receiver, url) {
      const id = `chn_${randomBytes(8).toString("hex")}`;
      const settings =
        kind === "slack"
          ? { url: url ?? receiver.slackUrl }
          : { url: url ?? receiver.webhookUrl, secret: receiver.webhookSecret };
      await withSystem((tx) =>
        tx
          .insert(channel)
          .values({ id, workspaceId, kind, name: `NOC ${kind}`, settings: seal(JSON.stringify(settings), id) }),
      );
      return id;
    },
    settled: () => untilEmpty(database),
  };
}

/** There is no notice of a row's end, so this looks; nothing is concluded from how long it takes. */
async function untilEmpty({ system }: Pick<TestDatabase, "system">): Promise<void> {
  for (;;) {
    if ((await system.select({ id: outbox.id }).from(outbox).limit(1)).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
