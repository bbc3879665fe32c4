/** Sends to one channel at the same time; the rest of its alerts wait, and no other channel's do. */
const MAX_IN_FLIGHT = 8;
/** A burst waits this long for a place: quick receivers take it without a detour through the queue. */
const PATIENCE_MS = 500;
/** A receiver that has ended nothing for so long is not waited for. */
const STILL_MS = 1_000;
const SLOW_MS = 3_000;
const LONGEST_PAUSE_MS = 60_000;

interface Door {
  inFlight: number;
  movedAt: number;
  slowInARow: number;
  pausedUntil: number;
  /** Give up a place to whoever came first. */
  waiting: Set<(mayPass: boolean) => void>;
}

export interface Doors {
  /**
   * Runs `send` when there is room for it. Undefined when this channel is too busy or too slow: come back later.
   * `failed` tells a result that should count against the receiver when it took long.
   */
  through<T>(channelId: string, send: () => Promise<T>, failed: (result: T) => boolean): Promise<T | undefined>;
  /** How long to stay away after that, in milliseconds. */
  turnedAwayMs(channelId: string): number;
}

/** One door for each channel, so that a receiver which keeps us waiting costs its own alerts time and nobody else's. */
export function openDoors({ now = () => performance.now(), patienceMs = PATIENCE_MS } = {}): Doors {
  const doors = new Map<string, Door>();
  const doorOf = (channelId: string) => {
    const known = doors.get(channelId);
    if (known) return known;
    const door: Door = { inFlight: 0, movedAt: 0, slowInARow: 0, pausedUntil: 0, waiting: new Set() };
    doors.set(channelId, door);
    return door;
  };

  return {
    async through(channelId, send, failed) {
      const door = doorOf(channelId);
      if (now() < door.pausedUntil) return undefined;
      if (door.inFlight >= MAX_IN_FLIGHT) {
        if (now() - door.movedAt > STILL_MS || !(await turn(door))) return undefined;
      } else door.inFlight += 1;
      const began = now();
      if (door.inFlight === 1) door.movedAt = began;
      let slow = false;
      try {
        const result = await send();
        slow = failed(result) && now() - began > SLOW_MS;
        return result;
      } finally {
        door.movedAt = now();
        door.slowInARow = slow ? door.slowInARow + 1 : 0;
        if (slow) door.pausedUntil = now() + Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** door.slowInARow);
        leave(channelId, door, slow);
      }
    },
    turnedAwayMs: (channelId) =>
      Math.max(500, (doors.get(channelId)?.pausedUntil ?? 0) - now()) + Math.random() * 1_000,
  };

  /** Waits for somebody's place; false when none came free. */
  function turn(door: Door): Promise<boolean> {
    return new Promise((resolve) => {
      const pass = (mayPass: boolean) => {
        clearTimeout(timer);
        door.waiting.delete(pass);
        resolve(mayPass);
      };
      const timer = setTimeout(pass, patienceMs, false);
      door.waiting.add(pass);
    });
  }

  function leave(channelId: string, door: Door, slow: boolean) {
    if (slow) for (const pass of door.waiting) pass(false);
    const [next] = door.waiting;
    // The place goes over as it is: `inFlight` stays.
    if (next) return next(true);
    door.inFlight -= 1;
    if (door.inFlight === 0 && door.slowInARow === 0) doors.delete(channelId);
  }
}
