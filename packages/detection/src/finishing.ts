import type { Counts } from "./detect.ts";

/** So far back goes what was usual, and so long it must have been watched to be said. */
const BEFORE_SECONDS = 60;
const WATCHED_SECONDS = 5;

type Reading = { at: number; finished: number };
type Followed = { id: string; lastSeenAt: number };

/**
 * Handshakes that the VPN servers finish, a second, over all ports: before an attack and while it lasts. Times are epoch milliseconds.
 */
export class Finishing {
  /** One a second, oldest first. */
  #readings: Reading[] = [];
  #newest: Reading | undefined;
  readonly #attacks = new Map<string, { before: number | null; from: Reading; last: Reading }>();

  /** Counters, and the attacks that go on; `lastSeenAt` of one that was above its threshold at this reading is `at`. */
  count(at: number, counts: Counts, attacks: readonly Followed[]): void {
    let finished = 0;
    for (const lane of counts.values()) finished += lane.finished;
    const reading = { at, finished };
    if (this.#newest && finished < this.#newest.finished) {
      // The table was loaded anew: nothing before can be compared.
      this.#readings = [];
      this.#attacks.clear();
    }
    this.#newest = reading;
    if (at - (this.#readings.at(-1)?.at ?? 0) >= 1000) this.#readings.push(reading);
    while (this.#readings.length > 1 && at - this.#readings[0]!.at > BEFORE_SECONDS * 1000) this.#readings.shift();
    for (const { id, lastSeenAt } of attacks) {
      const attack = this.#attacks.get(id);
      if (attack && lastSeenAt >= at) attack.last = reading;
    }
  }

  begin(id: string, firstPacketAt: number): void {
    const earlier = [...this.#readings, ...(this.#newest ? [this.#newest] : [])].filter(
      ({ at }) => at <= firstPacketAt,
    );
    const from = earlier.at(-1);
    if (from) this.#attacks.set(id, { before: rate(earlier[0]!, from, WATCHED_SECONDS), from, last: from });
  }

  /** Null: not watched, or not long enough. */
  end(id: string): { before: number | null; during: number | null } {
    const attack = this.#attacks.get(id);
    this.#attacks.delete(id);
    return { before: attack?.before ?? null, during: attack ? rate(attack.from, attack.last, 0) : null };
  }
}

function rate(from: Reading, to: Reading, atLeastSeconds: number): number | null {
  const seconds = (to.at - from.at) / 1000;
  if (seconds <= 0 || seconds < atLeastSeconds) return null;
  return Math.round(((to.finished - from.finished) / seconds) * 100) / 100;
}
