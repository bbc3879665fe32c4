/** The counters are read once a second in peace (the kernel's rate trips wake us meanwhile) and ten times in war. */
export const PEACE_MS = 1_000;
const WAR_MS = 100;
/** An attack that goes on needs less: its rules stand, and its end is a matter of seconds. */
export const SIEGE_MS = 250;
/** A trip has made us curious. */
export const CURIOUS_MS = 20;

/** How long to wait for the next reading. */
export function rhythmOf({ alert, busy }: { alert: boolean; busy: () => boolean }): number {
  if (!alert) return untilNextSecond();
  return busy() ? WAR_MS : SIEGE_MS;
}

/** In peace a reading falls just behind each full second, so that observations are whole seconds. */
function untilNextSecond(): number {
  const left = PEACE_MS - (Date.now() % PEACE_MS);
  return (left <= WAR_MS ? left + PEACE_MS : left) + 2;
}
