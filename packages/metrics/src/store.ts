import type { Tx } from "@flowtriq/db/client";
import type { LaneSecond, Observation } from "@flowtriq/protocol/observation";
import { postgresMetrics } from "./postgres.ts";

export type NodeObservation = { nodeId: string; observation: Observation };

export type SeriesQuery = {
  workspaceId: string;
  /** Their values are added up. Absent: all nodes of the workspace. */
  nodeIds?: readonly string[];
  from: Date;
  to: Date;
  /** The step is chosen so that there are no more; 1 to 10,000. */
  maxPoints: number;
};

/** Columns of equal length, one value per step; null where nothing was reported. Rates are means over the step. */
export type Series = {
  stepSeconds: number;
  /** Start of each step, in seconds since 1970. */
  at: number[];
  pps: (number | null)[];
  /** The highest second of the step. */
  peakPps: (number | null)[];
  bps: (number | null)[];
  droppedPps: (number | null)[];
  passedPps: (number | null)[];
  passedBps: (number | null)[];
  /** The lowest of the step. */
  tunnels: (number | null)[];
};

export type Latest = {
  nodeId: string;
  at: Date;
  pps: number;
  bps: number;
  droppedPps: number;
  passedPps: number;
  passedBps: number;
  tunnels: number | null;
  lanes: LaneSecond[];
};

/** Seconds in, series out. */
export interface MetricsStore {
  /**
   * Resolves when the seconds are safe. A second that is written again stays as it was. Nodes must belong to the tenant of
   * `tx`; without `tx`, each row goes to its node's own workspace.
   */
  write(batch: readonly NodeObservation[], tx?: Tx): Promise<void>;
  series(query: SeriesQuery): Promise<Series>;
  /** The newest second of each node that reported in the last minute. */
  latest(query: { workspaceId: string; nodeIds?: readonly string[]; now: Date }): Promise<Latest[]>;
  /** Attack packets dropped since then. */
  droppedPackets(query: { workspaceId: string; since: Date }): Promise<number>;
  /** Packs whole minutes and rolls them up; called every few seconds by one process or several. */
  compact(now: Date): Promise<{ minutes: number }>;
}

export const metrics: MetricsStore = postgresMetrics;
