import { metrics } from "@flowtriq/metrics/store";
import type { LiveFrame } from "@flowtriq/protocol/wire";
import { systemContext } from "@flowtriq/services/context";
import { list as listIncidents } from "@flowtriq/services/incident";
import type { NodeReport } from "@flowtriq/services/node";
import type { LiveNotice } from "@flowtriq/services/notify";
import { Redis } from "ioredis";
import type { Logger } from "pino";
import { event, type Stream } from "./sse.ts";

/** Redis channel of one workspace; its messages are the text of server-sent events. */
const CHANNEL = "live:";
const MAX_CLIENTS_PER_WORKSPACE = 200;
/** Older seconds come from a spool after an outage: they belong in the store, not in a live chart. */
const LIVE_WITHIN_MS = 10_000;
const REDIS_WAIT_MS = 1_000;

type Client = { stream: Stream; early: string[] | undefined };
type Audience = { clients: Set<Client>; subscribed: Promise<unknown> };

/** What is stored anywhere reaches the browsers that watch its workspace here; ingest processes tell each other over Redis. */
export class Live {
  readonly #audiences = new Map<string, Audience>();
  readonly #publisher: Redis;
  readonly #subscriber: Redis;
  #gathered = new Map<string, string[]>();

  constructor(redisUrl: string, log: Logger) {
    const connect = (name: string) => {
      const redis = new Redis(redisUrl, { enableOfflineQueue: name === "subscriber", maxRetriesPerRequest: null });
      redis.on("error", (error) => log.warn({ err: error, name }, "redis"));
      return redis;
    };
    this.#publisher = connect("publisher");
    this.#subscriber = connect("subscriber");
    this.#subscriber.on("message", (channel: string, text: string) => this.#send(channel.slice(CHANNEL.length), text));
  }

  isReady(): boolean {
    return this.#publisher.status === "ready" && this.#subscriber.status === "ready";
  }

  isFull(workspaceId: string): boolean {
    return (this.#audiences.get(workspaceId)?.clients.size ?? 0) >= MAX_CLIENTS_PER_WORKSPACE;
  }

  /** Snapshot first, then everything since. Returns what to call when the stream is closed. */
  attach(workspaceId: string, stream: Stream): { detach: () => void; started: Promise<void> } {
    const client: Client = { stream, early: [] };
    const audience = this.#audiences.get(workspaceId) ?? {
      clients: new Set(),
      subscribed: this.#subscriber.subscribe(CHANNEL + workspaceId).catch(() => {}),
    };
    this.#audiences.set(workspaceId, audience);
    audience.clients.add(client);
    const detach = () => {
      audience.clients.delete(client);
      if (audience.clients.size > 0 || this.#audiences.get(workspaceId) !== audience) return;
      this.#audiences.delete(workspaceId);
      void this.#subscriber.unsubscribe(CHANNEL + workspaceId).catch(() => {});
    };
    const start = async () => {
      // Subscribed before the snapshot is read: what happens in between waits in `early`. Without Redis the page still shows
      // what this process stores itself.
      await Promise.race([audience.subscribed, new Promise((late) => setTimeout(late, REDIS_WAIT_MS).unref())]);
      stream.write((await snapshot(workspaceId)).map((frame) => event(frame)).join(""));
      for (const text of client.early ?? []) stream.write(text);
      client.early = undefined;
    };
    return { detach, started: start() };
  }

  /** Committed elsewhere or here; heard by every process on its own. */
  notice({ workspaceId, frame }: LiveNotice): void {
    this.#send(workspaceId, event(frame));
  }

  /** The seconds of a report; those of one turn of the loop travel together. */
  stored({ workspaceId, nodeId, report }: NodeReport): void {
    const oldest = Date.now() - LIVE_WITHIN_MS;
    for (const { at, pps, bps, droppedPps, passedPps, tunnels } of report.observations) {
      if (Date.parse(at) < oldest) continue;
      const frame: LiveFrame = { type: "observation", nodeId, at, pps, bps, droppedPps, passedPps, tunnels };
      if (this.#gathered.size === 0) setImmediate(() => this.#publish());
      const texts = this.#gathered.get(workspaceId) ?? [];
      texts.push(event(frame));
      this.#gathered.set(workspaceId, texts);
    }
  }

  async close(): Promise<void> {
    this.#publisher.disconnect();
    this.#subscriber.disconnect();
  }

  #publish(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [workspaceId, texts] of gathered) {
      const text = texts.join("");
      this.#publisher.publish(CHANNEL + workspaceId, text).catch(() => this.#send(workspaceId, text));
    }
  }

  #send(workspaceId: string, text: string): void {
    for (const client of this.#audiences.get(workspaceId)?.clients ?? []) {
      if (client.early) client.early.push(text);
      else client.stream.write(text);
    }
  }
}

async function snapshot(workspaceId: string): Promise<LiveFrame[]> {
  const now = new Date();
  const [latest, open] = await Promise.all([
    metrics.latest({ workspaceId, now }),
    listIncidents(systemContext(workspaceId, now), { status: "open", limit: 100 }),
  ]);
  return [
    ...latest.map(({ nodeId, at, pps, bps, droppedPps, passedPps, tunnels }): LiveFrame => {
      const end = new Date(at.getTime() + 1000).toISOString(); // a frame is dated by the end of its second, as a report is
      return { type: "observation", nodeId, at: end, pps, bps, droppedPps, passedPps, tunnels };
    }),
    ...open.items.map(({ id }): LiveFrame => ({ type: "incident", incidentId: id, change: "open" })),
  ];
}
