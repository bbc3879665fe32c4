import type { Vector } from "@flowtriq/protocol/vector";
import type { Address } from "./packet.ts";

const SIZE = 1024;
const FRESH_MS = 60_000;
/** Of the senders of later pieces so many must have been seen beginning answers: of many reflectors samples show few. */
const KNOWN = { least: 2, share: 0.02 };

/**
 * Who lately sent the first piece of a long answer, and of which service. Only that piece has ports: where it goes to a VPN's port
 * it is counted there, and the later ones, which name nothing, with the rest of the host.
 */
export class Pieces {
  readonly #begun = new Map<Address, { vector: Vector; at: number }>();

  note(source: Address, vector: Vector, at: number): void {
    // What is noted again moves to the end, so the oldest is in front.
    this.#begun.delete(source);
    if (this.#begun.size >= SIZE) this.#begun.delete(this.#begun.keys().next().value!);
    this.#begun.set(source, { vector, at });
  }

  /** The reflection that these senders' pieces belong to, and how many of them are known. */
  ownerOf(sources: ReadonlySet<Address>, at: number): { vector: Vector; known: number } | undefined {
    const counts = new Map<Vector, number>();
    for (const source of sources) {
      const begun = this.#begun.get(source);
      if (begun && at - begun.at < FRESH_MS) counts.set(begun.vector, (counts.get(begun.vector) ?? 0) + 1);
    }
    const [vector, known] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
    if (vector === undefined || known === undefined) return undefined;
    return known >= Math.max(KNOWN.least, sources.size * KNOWN.share) ? { vector, known } : undefined;
  }
}
