import { firstAidOf } from "@flowtriq/mitigation/mitigations";
import {
  arrivedCounter,
  droppedCounter,
  firstAidSet,
  lateLeaseMap,
  leaseMap,
  mitigationChain,
  observedCounter,
} from "@flowtriq/mitigation/names";
import { LaneId } from "@flowtriq/protocol/lane";
import type { HeldLease } from "./lease-message.ts";
import type { NftSocket } from "./nft-socket.ts";

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
    .flatMap((lane) => [leaseMap(lane), ...(firstAidOf(lane) ? [firstAidSet(lane)] : [])]);
  const leases = socket.leases(sets);
  return lanes.map((lane) => {
    const arrived = counters.get(arrivedCounter(lane))!;
    const dropped = counters.get(droppedCounter(lane));
    const held = leaseOn(socket, lane, leases.get(leaseMap(lane)));
    return {
      lane,
      packets: arrived.packets,
      bytes: arrived.bytes,
      dropped: dropped?.packets ?? 0,
      droppedBytes: dropped?.bytes ?? 0,
      wouldDrop: counters.get(observedCounter(lane))?.packets ?? 0,
      armedSeconds: secondsOf(held, mitigationChain(lane, "drop")),
      watchedSeconds: secondsOf(held, mitigationChain(lane, "observe")),
      firstAidSeconds: leases.get(firstAidSet(lane))?.seconds ?? null,
    };
  });
}

/** Of a lane that is judged behind connection tracking the lease there says what becomes of it. */
function leaseOn(socket: NftSocket, lane: LaneId, lease: HeldLease | undefined): HeldLease | undefined {
  return lease?.chain === mitigationChain(lane, "pass")
    ? socket.leases([lateLeaseMap(lane)]).get(lateLeaseMap(lane))
    : lease;
}

const secondsOf = (held: HeldLease | undefined, chain: string) => (held?.chain === chain ? held.seconds : null);

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
