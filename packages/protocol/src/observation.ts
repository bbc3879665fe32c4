import * as z from "zod/mini";
import { LaneId } from "./lane.ts";

const count = z.number().check(z.nonnegative());

/** One second of counters on one node. `dropped` is part of `pps`; what the host received is the difference. */
export const LaneSecond = z.strictObject({
  lane: LaneId,
  pps: count,
  bps: count,
  droppedPps: count,
});
export type LaneSecond = z.infer<typeof LaneSecond>;

export const Observation = z.strictObject({
  /** End of the second, ISO 8601 with milliseconds, UTC. */
  at: z.iso.datetime({ precision: 3 }),
  pps: count,
  bps: count,
  droppedPps: count,
  passedPps: count,
  passedBps: count,
  /** Live VPN tunnels; null when no source could tell. */
  tunnels: z.nullable(z.int().check(z.nonnegative())),
  /** Lanes with traffic in this second. */
  lanes: z.array(LaneSecond).check(z.maxLength(256)),
});
export type Observation = z.infer<typeof Observation>;
