import { firstAidOf } from "@flowtriq/mitigation/mitigations";
import {
  armedSet,
  arrivedCounter,
  droppedCounter,
  firstAidSet,
  observedCounter,
  watchedSet,
} from "@flowtriq/mitigation/names";
import { LaneId } from "@flowtriq/protocol/lane";
import type { NftSocket } from "./netlink.ts";

/** One lane as the kernel holds it now. Leases are the seconds left; null: none is running. */
export type LaneInKernel = {
  lane: LaneId;
  packets: number;
  bytes: number;
  dropped: number;
  droppedBytes: number;
  /** What observe mode would have dropped. */
  wouldDrop: number;
  armedSeconds: number | null;
  watchedSeconds: number | null;
  firstAidSeconds: number | null;
};

/** Every lane of the table, told from its counters. Throws NetlinkError ENOENT when there is no table. */
export function lanesInKernel(socket: NftSocket): LaneInKernel[] {
  const counters = new Map([...socket.counters()].map(([name, value]) => [name, { ...value }]));
  const lanes = [...counters.keys()].flatMap((name) => {
    const lane = LaneId.safeParse(name.startsWith("n_") ? name.slice(2).replaceAll("_", ":") : undefined);
    return lane.success && arrivedCounter(lane.data) === name ? [lane.data] : [];
  });
  const sets = lanes
    .filter((lane) => counters.has(droppedCounter(lane)))
    .flatMap((lane) => [armedSet(lane), watchedSet(lane), ...(firstAidOf(lane) ? [firstAidSet(lane)] : [])]);
  const leases = socket.leases(sets);
  return lanes.map((lane) => {
    const arrived = counters.get(arrivedCounter(lane))!;
    const dropped = counters.get(droppedCounter(lane));
    return {
      lane,
      packets: arrived.packets,
      bytes: arrived.bytes,
      dropped: dropped?.packets ?? 0,
      droppedBytes: dropped?.bytes ?? 0,
      wouldDrop: counters.get(observedCounter(lane))?.packets ?? 0,
      armedSeconds: leases.get(armedSet(lane)) ?? null,
      watchedSeconds: leases.get(watchedSet(lane)) ?? null,
      firstAidSeconds: leases.get(firstAidSet(lane)) ?? null,
    };
  });
}

export type LaneState = "armed" | "watched" | "first aid" | "open";

export const stateOf = (lane: LaneInKernel): LaneState =>
  lane.armedSeconds !== null
    ? "armed"
    : lane.watchedSeconds !== null
      ? "watched"
      : lane.firstAidSeconds !== null
        ? "first aid"
        : "open";

export const leaseOf = (lane: LaneInKernel): number | null =>
  lane.armedSeconds ?? lane.watchedSeconds ?? lane.firstAidSeconds;
