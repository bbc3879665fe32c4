import { hashSecret } from "@flowtriq/services/ids";
import { nodeByKey } from "@flowtriq/services/lookup";

export type NodeIdentity = { workspaceId: string; nodeId: string };

/** How long a removed node, or a key that was replaced, is still let in. */
const KNOWN_MS = 5_000;
const UNKNOWN_MS = 2_000;
const MAX_KEYS = 50_000;

/** Whose key, remembered for a few seconds; many requests with one key at once are one look-up. */
export class Keys {
  readonly #remembered = new Map<string, { until: number; identity: Promise<NodeIdentity | undefined> }>();

  async identify(key: string, now = Date.now()): Promise<NodeIdentity | undefined> {
    const hash = hashSecret(key);
    const found = this.#remembered.get(hash);
    if (found && found.until > now) return found.identity;
    const identity = nodeByKey(key);
    const entry = { until: now + KNOWN_MS, identity };
    this.#remembered.delete(hash);
    if (this.#remembered.size >= MAX_KEYS) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(hash, entry);
    try {
      const answer = await identity;
      if (!answer) entry.until = now + UNKNOWN_MS;
      return answer;
    } catch (error) {
      this.#remembered.delete(hash);
      throw error;
    }
  }
}
