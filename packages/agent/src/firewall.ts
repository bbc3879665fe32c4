import type { Counts, LaneCount } from "@flowtriq/detection/detect";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { mitigationOf } from "@flowtriq/mitigation/mitigations";
import {
  armedSet,
  arrivedCounter,
  cookieCounter,
  droppedCounter,
  finishedCounter,
  firstAidSet,
  observedCounter,
  sentCounter,
  watchedSet,
} from "@flowtriq/mitigation/names";
import { toNftables, toRemoval } from "@flowtriq/mitigation/nftables";
import { NO_PLAN, type Plan } from "@flowtriq/mitigation/plan";
import { type LaneId, vpnLane } from "@flowtriq/protocol/lane";
import { type CounterValue, ENOENT, NetlinkError, NftSocket } from "./netlink.ts";
import { Problem } from "./problem.ts";
import { nft } from "./system.ts";

const NOTHING: CounterValue = { packets: 0, bytes: 0 };

/**
 * The one table of ours. Loading goes through `nft` (checked first, one transaction); what must be quick (counters, leases)
 * goes over netlink.
 */
export class Firewall {
  readonly #table: string;
  readonly #socket: NftSocket;
  #facts: HostFacts;
  #lanes: LaneId[];
  #held: Plan = NO_PLAN;

  constructor(facts: HostFacts) {
    this.#facts = facts;
    this.#table = facts.table;
    this.#lanes = lanesOf(facts.ports);
    this.#socket = new NftSocket(facts.table);
  }

  get lanes(): LaneId[] {
    return this.#lanes;
  }
  get hook(): string {
    return this.#facts.hook;
  }

  /** Loads the table, or rewrites its chains where it stands: learned sets and leases live on. */
  load(facts: HostFacts = this.#facts): void {
    this.#facts = this.#checked(facts);
    this.#lanes = lanesOf(this.#facts.ports);
    const script = toNftables(this.#facts);
    try {
      nft(["-f", "-"], script);
    } catch (error) {
      // A table of another version may hold sets of another shape, which cannot be changed in place.
      if (!(error instanceof Problem) || !this.exists()) throw error;
      nft(["-f", "-"], `${toRemoval(this.#table)}${script}`);
    }
  }

  /** The hook that this kernel has, tried without changing anything. */
  #checked(facts: HostFacts): HostFacts {
    try {
      nft(["-c", "-f", "-"], toNftables(facts));
      return facts;
    } catch (error) {
      if (facts.hook !== "ingress" || !(error instanceof Problem) || /not (installed|permitted)/.test(error.message))
        throw error;
      const older: HostFacts = { ...facts, hook: "prerouting" };
      try {
        nft(["-c", "-f", "-"], toNftables(older));
      } catch {
        throw error;
      }
      return older;
    }
  }

  exists(): boolean {
    try {
      this.#socket.counters();
      return true;
    } catch (error) {
      if (error instanceof NetlinkError) return false;
      throw error;
    }
  }

  /** Counters of all lanes, or undefined when somebody removed the table. */
  counts(): Counts | undefined {
    let values: ReturnType<NftSocket["counters"]>;
    try {
      values = this.#socket.counters();
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
      throw error;
    }
    if (values.size === 0) return undefined;
    const counts = new Map<LaneId, LaneCount>();
    for (const lane of this.#lanes) {
      const arrived = values.get(arrivedCounter(lane)) ?? NOTHING;
      const dropped = values.get(droppedCounter(lane)) ?? NOTHING;
      counts.set(lane, {
        packets: arrived.packets,
        bytes: arrived.bytes,
        dropped: dropped.packets,
        droppedBytes: dropped.bytes,
        finished: 0,
      });
    }
    for (const port of this.#facts.ports) {
      const handshakes = counts.get(vpnLane(port, "handshake"));
      if (!handshakes) continue;
      handshakes.finished = values.get(finishedCounter(port))?.packets ?? 0;
      handshakes.sent = values.get(sentCounter(port))?.packets;
      handshakes.cookies = values.get(cookieCounter(port))?.packets;
    }
    return counts;
  }

  /** Packets and bytes that a lane's mitigation has dropped, or would have. */
  hits(lane: LaneId): CounterValue {
    const values = this.#socket.counters();
    const dropped = values.get(droppedCounter(lane)) ?? NOTHING;
    const observed = values.get(observedCounter(lane)) ?? NOTHING;
    return { packets: dropped.packets + observed.packets, bytes: dropped.bytes + observed.bytes };
  }

  /** Makes the kernel's leases those of the plan, in one transaction. */
  apply(plan: Plan, leaseSeconds: number): void {
    this.#socket.lease([
      ...leases(this.#held.armed, plan.armed, armedSet, leaseSeconds),
      ...leases(this.#held.watched, plan.watched, watchedSet, leaseSeconds),
      ...leases(this.#held.firstAid, plan.firstAid, firstAidSet, leaseSeconds),
    ]);
    this.#held = plan;
  }

  /** Lanes that a predecessor left armed. */
  armedNow(): LaneId[] {
    const lanes = this.#lanes.filter((lane) => mitigationOf(lane, this.#facts.ports));
    const names = new Set(this.#socket.leased(lanes.map(armedSet)));
    return lanes.filter((lane) => names.has(armedSet(lane)));
  }

  remove(): void {
    if (this.exists()) nft(["-f", "-"], toRemoval(this.#table));
    this.#held = NO_PLAN;
  }

  close(): void {
    this.#socket.close();
  }
}

/** Renews what stays, and ends what is no longer wanted. */
function leases(before: LaneId[], wanted: LaneId[], nameOf: (lane: LaneId) => string, seconds: number) {
  const gone = before.filter((lane) => !wanted.includes(lane));
  return [
    ...wanted.map((lane) => ({ name: nameOf(lane), seconds })),
    ...gone.map((lane) => ({ name: nameOf(lane), seconds: 0 })),
  ];
}
