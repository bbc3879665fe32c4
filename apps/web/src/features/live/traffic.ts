import type { LiveFrame } from "@flowtriq/protocol/wire";

/** One second of one node or of all of them together. `at` in seconds since the epoch; null: nobody reported it. */
export type Second = { at: number; passedPps: number | null; droppedPps: number | null };

/** A series of the store as rows. */
export const secondsOf = ({ at, passedPps, droppedPps, tunnels }: Columns): (Second & { tunnels: number | null })[] =>
  at.map((second, index) => ({
    at: second,
    passedPps: passedPps[index] ?? null,
    droppedPps: droppedPps[index] ?? null,
    tunnels: tunnels[index] ?? null,
  }));

type Column = readonly (number | null)[];
type Columns = { at: readonly number[]; passedPps: Column; droppedPps: Column; tunnels: Column };

/** The second that an observation is about: `at` is its end, give or take half of one. */
const secondOf = (at: string): number => Math.ceil(Date.parse(at) / 1000 - 0.5) - 1;

type Observation = Extract<LiveFrame, { type: "observation" }>;

/** The seconds that came over the live stream, by second and node. Bounded to `keepSeconds`. */
export function trafficLog(keepSeconds: number) {
  const seconds = new Map<number, Map<string, { passedPps: number; droppedPps: number }>>();
  let newest = 0;
  return {
    /** `now` in seconds: a node whose clock runs ahead must not push the others out of the window. */
    add(frames: readonly Observation[], now: number) {
      for (const { at, nodeId, passedPps, droppedPps } of frames) {
        const second = secondOf(at);
        if (!(second > newest - keepSeconds) || second > now + 2) continue;
        newest = Math.max(newest, second);
        const nodes = seconds.get(second) ?? new Map();
        seconds.set(second, nodes);
        nodes.set(nodeId, { passedPps, droppedPps });
      }
      for (const second of seconds.keys()) if (second <= newest - keepSeconds) seconds.delete(second);
    },
    /** What the server remembers, and what was heard where it does not. The newest second is held back while nodes still report it. */
    after(history: readonly Second[], now: number, held = 1): Second[] {
      const heard = (at: number): Second => {
        const nodes = seconds.get(at);
        if (!nodes) return { at, passedPps: null, droppedPps: null };
        const sum = { at, passedPps: 0, droppedPps: 0 };
        for (const node of nodes.values()) {
          sum.passedPps += node.passedPps;
          sum.droppedPps += node.droppedPps;
        }
        return sum;
      };
      const last = history.findLast(({ passedPps }) => passedPps !== null)?.at ?? 0;
      const to = Math.min(Math.max(newest - held, last), Math.floor(now));
      const from = to - keepSeconds;
      const joined = history
        .filter(({ at }) => at > from && at <= last)
        .map((second) => (second.passedPps === null ? heard(second.at) : second));
      for (let at = Math.max(last, from) + 1; at <= to; at++) joined.push(heard(at));
      return joined;
    },
  };
}
