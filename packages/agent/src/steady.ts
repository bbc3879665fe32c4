/**
 * The wall clock, but it neither jumps nor stands still while something depends on it: leases are renewed and attacks measured
 * by it, and setting the machine's clock back an hour must not end the protection. In peace it follows the wall clock again.
 * Epoch milliseconds, whole.
 */
export class SteadyClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  #offset: number;

  constructor(wall = () => Date.now(), monotonic = () => performance.now()) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#offset = wall() - monotonic();
  }

  now(): number {
    return Math.round(this.#monotonic() + this.#offset);
  }

  /** Follows the wall clock. Returns by how many milliseconds it had gone away: positive when it was set forward. */
  follow(): number {
    const offset = this.#wall() - this.#monotonic();
    const moved = offset - this.#offset;
    this.#offset = offset;
    return moved;
  }
}
