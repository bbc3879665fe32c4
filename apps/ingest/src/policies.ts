import type { NodePolicy } from "@flowtriq/protocol/policy";
import { forNode } from "@flowtriq/services/policy";
import type { Logger } from "pino";
import type { NodeIdentity } from "./keys.ts";
import { event, type Stream } from "./sse.ts";

type Subscriber = { nodeId: string; send: (policy: NodePolicy) => void };

const RETRY_MS = 1_000;

/** The nodes that wait for a policy. Each gets the one in force at once, then every newer one, never an older. */
export class Policies {
  readonly #byWorkspace = new Map<string, Set<Subscriber>>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Returns what to call when the stream is closed. */
  subscribe({ workspaceId, nodeId }: NodeIdentity, stream: Stream): () => void {
    let sent = -1;
    const send = (policy: NodePolicy) => {
      if (policy.revision <= sent) return;
      sent = policy.revision;
      stream.write(event(policy, "policy"));
    };
    const subscriber = { nodeId, send };
    const all = this.#byWorkspace.get(workspaceId) ?? new Set();
    this.#byWorkspace.set(workspaceId, all.add(subscriber));
    void this.#refresh(workspaceId, [subscriber]);
    return () => {
      all.delete(subscriber);
      if (all.size === 0 && this.#byWorkspace.get(workspaceId) === all) this.#byWorkspace.delete(workspaceId);
    };
  }

  /** This workspace's policy has changed. */
  changed(workspaceId: string): void {
    void this.#refresh(workspaceId, this.#byWorkspace.get(workspaceId) ?? []);
  }

  /** Changes may have gone unheard. */
  refreshAll(): void {
    for (const workspaceId of this.#byWorkspace.keys()) this.changed(workspaceId);
  }

  async #refresh(workspaceId: string, subscribers: Iterable<Subscriber>): Promise<void> {
    const waiting = [...subscribers];
    const [first] = waiting;
    if (!first) return;
    try {
      const actor = { kind: "node" as const, nodeId: first.nodeId };
      const policy = await forNode({ workspaceId, actor, now: new Date() }, {});
      for (const subscriber of waiting) subscriber.send(policy);
    } catch (error) {
      this.#log.warn({ err: error, workspaceId }, "policy not read, trying again");
      const open = () => waiting.filter((item) => this.#byWorkspace.get(workspaceId)?.has(item));
      setTimeout(() => void this.#refresh(workspaceId, open()), RETRY_MS).unref();
    }
  }
}
