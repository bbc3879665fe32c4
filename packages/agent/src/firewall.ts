import type { Counts, LaneCount } from "@flowtriq/detection/detect";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { type Lease, leaseSets, leasesOf } from "@flowtriq/mitigation/leases";
import { mitigationOf } from "@flowtriq/mitigation/mitigations";
import {
  arrivedCounter,
  cookieCounter,
  droppedCounter,
  finishedCounter,
  knownCounter,
  leaseMap,
  observedCounter,
  sentCounter,
} from "@flowtriq/mitigation/names";
import { toNftables, toRemoval, toUnhooking } from "@flowtriq/mitigation/nftables";
import type { Plan } from "@flowtriq/mitigation/plan";
import { seedElements } from "@flowtriq/mitigation/sets";
import { type LaneId, vpnLane } from "@flowtriq/protocol/lane";
import { type LaneInKernel, lanesInKernel } from "./kernel.ts";
import { ENOENT, NetlinkError } from "./netlink-error.ts";
import { type CounterValue, NftSocket } from "./nft-socket.ts";
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
  #lanes: LaneId[] = [];
  /** The names of what is read every second, made once. */
  #counted: { lane: LaneId; arrived: string; dropped: string }[] = [];
  /** Tried once. A kernel that seemed to lack the hook is asked again: an interface may just have gone. */
  #takesIngress = false;
  #held: Lease[] = [];
  #leaseSets = new Set<string>();

  constructor(facts: HostFacts) {
    this.#facts = facts;
    this.#table = facts.table;
    this.#count(facts);
    this.#socket = new NftSocket(facts.table);
  }

  get lanes(): LaneId[] {
    return this.#lanes;
  }
  get hook(): string {
    return this.#facts.hook;
  }

  /**
   * Loads the table, or rewrites its chains where it stands: learned sets and leases live on. `rebind` hooks the entry chain to
   * its interfaces anew, in the same transaction: an ingress hook dies with its device, and a chain that stands keeps its own.
   */
  load(facts: HostFacts = this.#facts, { rebind = false } = {}): void {
    this.#facts = { ...facts, hook: this.#takesIngress ? "ingress" : hookOf(facts) };
    this.#takesIngress ||= this.#facts.hook === "ingress";
    this.#count(this.#facts);
    this.#leaseSets = leaseSets(this.#facts);
    const script = toNftables(this.#facts);
    // On some kernels the chain went with its last device.
    if (rebind && this.#tried(`${toUnhooking(this.#table)}${script}`)) return;
    try {
      nft(["-f", "-"], script);
    } catch (error) {
      // A table of another version may hold sets of another shape, which cannot be changed in place.
      if (!(error instanceof Problem) || !this.exists()) throw error;
      nft(["-f", "-"], `${toRemoval(this.#table)}${script}`);
    }
  }

  #count({ ports }: HostFacts): void {
    this.#lanes = lanesOf(ports);
    this.#counted = this.#lanes.map((lane) => ({ lane, arrived: arrivedCounter(lane), dropped: droppedCounter(lane) }));
  }

  #tried(script: string): boolean {
    try {
      nft(["-f", "-"], script);
      return true;
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
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
    const values = this.#counters();
    if (!values || values.size === 0) return undefined;
    const counts = new Map<LaneId, LaneCount>();
    for (const { lane, arrived, dropped } of this.#counted) {
      const come = values.get(arrived) ?? NOTHING;
      const gone = values.get(dropped) ?? NOTHING;
      counts.set(lane, {
        packets: come.packets,
        bytes: come.bytes,
        dropped: gone.packets,
        droppedBytes: gone.bytes,
        finished: 0,
      });
    }
    for (const port of this.#facts.ports) {
      const handshakes = counts.get(vpnLane(port, "handshake"));
      if (!handshakes) continue;
      handshakes.finished = values.get(finishedCounter(port))?.packets ?? 0;
      handshakes.sent = values.get(sentCounter(port))?.packets;
      handshakes.cookies = values.get(cookieCounter(port))?.packets;
      handshakes.known = values.get(knownCounter(vpnLane(port, "handshake")))?.packets;
    }
    return counts;
  }

  /** Packets of one of our counters at the last reading. */
  packets(counter: string): number {
    return this.#socket.last.get(counter)?.packets ?? 0;
  }

  #counters() {
    try {
      return this.#socket.counters();
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Packets and bytes that a lane's mitigation has dropped, or would have. */
  hits(lane: LaneId): CounterValue {
    const values = this.#counters();
    const dropped = values?.get(droppedCounter(lane)) ?? NOTHING;
    const observed = values?.get(observedCounter(lane)) ?? NOTHING;
    return { packets: dropped.packets + observed.packets, bytes: dropped.bytes + observed.bytes };
  }

  /** Every lane with its counters and leases; none when the table is gone. */
  state(): LaneInKernel[] {
    return this.exists() ? lanesInKernel(this.#socket) : [];
  }

  /** Makes the kernel's leases those of the plan, in one transaction. */
  apply(plan: Plan, leaseSeconds: number): void {
    const wanted = leasesOf(plan, this.#facts, leaseSeconds);
    // What a table of other facts had would fail the whole transaction; its leases run out.
    const gone = this.#held.filter(({ set }) => this.#leaseSets.has(set) && !wanted.some((lease) => lease.set === set));
    this.#held = wanted;
    try {
      this.#socket.lease([...wanted, ...gone.map(({ set }) => ({ set, elements: [] }))]);
    } catch (error) {
      // Somebody removed the table or a set: the next look sees that, loads it again and calls here once more.
      if (!isGone(error)) throw error;
    }
  }

  /** Names peers and connections to the kernel that its rules may have forgotten. */
  remember(known: Pick<HostFacts, "seeds" | "connections">): void {
    const script = seedElements({ table: this.#table, ...known }).join("\n");
    if (script !== "") nft(["-f", "-"], `${script}\n`);
  }

  /** Lanes that a predecessor left armed or watched. */
  leasedNow(): LaneId[] {
    const lanes = this.#lanes.filter((lane) => mitigationOf(lane, this.#facts));
    const leases = this.#socket.leases(lanes.map(leaseMap));
    return lanes.filter((lane) => leases.has(leaseMap(lane)));
  }

  remove(): void {
    if (this.exists()) nft(["-f", "-"], toRemoval(this.#table));
    this.#held = [];
  }

  close(): void {
    this.#socket.close();
  }
}

/** The hook that this kernel has for these rules, tried without changing anything. A Problem when it takes them at none. */
export function hookOf(facts: HostFacts): HostFacts["hook"] {
  try {
    nft(["-c", "-f", "-"], toNftables(facts));
    return facts.hook;
  } catch (error) {
    if (facts.hook !== "ingress" || !(error instanceof Problem) || /not (installed|permitted)/.test(error.message))
      throw error;
    try {
      nft(["-c", "-f", "-"], toNftables({ ...facts, hook: "prerouting" }));
    } catch {
      throw error;
    }
    return "prerouting";
  }
}

const isGone = (error: unknown) => error instanceof NetlinkError && error.errno === ENOENT;
