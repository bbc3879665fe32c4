const FIRST_MS = 1_000;
const LONGEST_MS = 30 * 60_000;
/** No receiver may put an alert off for longer than this. */
const LONGEST_ASKED_MS = 60 * 60_000;

/** Tries over about five hours; then the alert is given up and says so. */
export const MAX_ATTEMPTS = 20;

/**
 * Wait before the next attempt, in milliseconds: doubling from one second, half of it drawn by lot so that a receiver that
 * comes back does not meet everybody at once. Never sooner than it asked for.
 *
 * @param attempt attempts made so far, from 1
 * @param random in [0, 1)
 */
export function retryDelayMs(attempt: number, random: number, retryAfterMs = 0): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
  const drawn = Math.round(full / 2 + (full / 2) * random);
  return Math.max(drawn, Math.min(retryAfterMs, LONGEST_ASKED_MS));
}
