import type { Attack, Counts, Detector } from "@flowtriq/detection/detect";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { nameOf } from "@flowtriq/mitigation/names";
import { NO_PLAN, type Plan, type PlannedAttack, plan } from "@flowtriq/mitigation/plan";
import { isBusy } from "@flowtriq/mitigation/record";
import type { LaneId, VpnPort } from "@flowtriq/protocol/lane";
import type { Policy } from "@flowtriq/protocol/policy";
import type { Plans } from "./events.ts";
import { Firewall } from "./firewall.ts";
import { DAMAGE_WORDS, type Damage, Guard } from "./guard.ts";
import { PeerCare } from "./peer-care.ts";
import type { NewEvent, Sink } from "./sink.ts";
import type { SteadyClock } from "./steady.ts";
import { SurroundingsWatch, surroundings } from "./surroundings.ts";
import type { Tunnels } from "./tunnels.ts";

/** A lease is renewed this many times before it would run out. */
const RENEWALS_PER_LEASE = 4;
/** Rewriting rules is not free: learned thresholds reach the kernel at most this often. */
const RETUNE_MS = 10_000;
const LOOK_MS = 1_000;

export type ProtectionOptions = {
  facts: HostFacts;
  policy: Policy;
  detector: Detector;
  vpns: Tunnels;
  sink: Sink;
  clock: SteadyClock;
};

/** Our rules in the kernel: loaded, leased as policy and attacks call for, watched, repaired, fitted to what the host has become. */
export class Protection {
  readonly #options: ProtectionOptions;
  readonly #configured: VpnPort[];
  readonly #firewall: Firewall;
  readonly #guard: Guard;
  readonly #peers: PeerCare;
  readonly #surroundings = new SurroundingsWatch();
  #facts: HostFacts;
  #policy: Policy;
  #plan: Plan = NO_PLAN;
  #withdrawn = new Set<string>();
  #tripsInKernel = new Map<LaneId, number>();
  #lookedAt = 0;
  #renewedAt = 0;
  #retunedAt: number;
  #closed = false;
  #standsDown = false;
  #repairing = false;
  #repairFailed = false;
  #repairAfter = 0;

  constructor(options: ProtectionOptions) {
    this.#options = options;
    this.#facts = options.facts;
    this.#configured = options.facts.ports;
    this.#policy = options.policy;
    this.#firewall = new Firewall(options.facts);
    this.#peers = new PeerCare(this.#firewall, options.vpns, options.sink);
    this.#guard = new Guard(options.facts.table, options.facts.interfaces);
    this.#retunedAt = options.clock.now();
  }

  get facts(): HostFacts {
    return this.#facts;
  }
  get hook(): string {
    return this.#firewall.hook;
  }
  get plan(): Plan {
    return this.#plan;
  }
  /** True once everything was taken back by hand. */
  get standsDown(): boolean {
    return this.#standsDown;
  }
  /** Attacks whose rules were taken back by hand. */
  get withdrawn(): string[] {
    return [...this.#withdrawn];
  }

  /** Every lane as the kernel holds it. */
  state() {
    return this.#firewall.state();
  }

  /** Lanes that a predecessor left armed or watched. */
  leasedNow(): LaneId[] {
    return this.#firewall.leasedNow();
  }

  /** Counters of all lanes; undefined when somebody removed the table, which is then loaded again. */
  counts(): Counts | undefined {
    const counts = this.#firewall.counts();
    if (!counts) this.#repair("table_removed");
    return counts;
  }

  /** `seeds`: peers that are genuine before the kernel has seen a packet of theirs; only a table that is empty needs them. */
  load(seeds: HostFacts["seeds"] = [], rebind = false): void {
    this.#facts = { ...this.#facts, ...surroundings() };
    const interfaces = this.#guard.present();
    // Nothing to protect until one of them is there again; the guard sees it.
    if (interfaces.length > 0) this.#firewall.load({ ...this.#facts, interfaces, seeds }, { rebind });
    this.#guard.accept();
    this.#tripsInKernel = new Map(this.#firewall.lanes.map((lane) => [lane, this.#bellOf(lane)]));
  }

  /** Holds to another policy. Throws when its rules cannot be loaded; then the old one goes on. */
  change(policy: Policy): void {
    const before = { policy: this.#policy, facts: this.#facts };
    this.#policy = policy;
    this.#facts = { ...this.#facts, neverBlock: policy.neverBlock };
    if (this.#standsDown) return;
    try {
      this.load();
      this.enforce();
    } catch (error) {
      this.#policy = before.policy;
      this.#facts = before.facts;
      throw error;
    }
  }

  /** Makes the kernel hold what policy and attacks call for now. */
  enforce(): Plans {
    const before = this.#plan;
    const { detector, clock } = this.#options;
    if (!this.#standsDown) {
      const attacks = detector.attacks.map(
        ({ id, verdict, lanes }): PlannedAttack => ({
          ...{ id, verdict, lanes },
          withdrawn: this.#withdrawn.has(id),
          rolledBack: this.#peers.rolledBack,
        }),
      );
      this.#plan = plan(this.#policy, attacks, this.#facts);
      this.#guard.own(() => this.#firewall.apply(this.#plan, this.#policy.leaseSeconds));
      this.#renewedAt = clock.now();
      // Rules come first, then those whom they might have forgotten.
      if (this.#plan.armed.length > 0) this.#peers.remember(this.#renewedAt, this.#plan.armed);
    }
    return { before, now: this.#plan, appliedAt: this.#renewedAt };
  }

  /** Takes the rules of one attack back for as long as it lasts. True if it had any. */
  withdraw(attackId: string): boolean {
    this.#withdrawn.add(attackId);
    return this.enforce().before.byAttack.has(attackId);
  }

  /** An attack is over, or a predecessor's withdrawals are known. */
  forget(attackId: string): void {
    this.#withdrawn.delete(attackId);
  }
  inherit(withdrawn: string[]): void {
    this.#withdrawn = new Set(withdrawn);
  }

  /** Takes every rule of ours out of the kernel and keeps out. */
  standDown(): void {
    this.#standsDown = true;
    this.#firewall.remove();
    this.#plan = NO_PLAN;
  }

  /** In peace nothing stays in the kernel; in war the rules stay for a successor until their lease runs out. True if they do. */
  leave(): boolean {
    this.#closed = true;
    const atWar = this.#plan.armed.length > 0;
    if (atWar) this.#firewall.apply(this.#plan, this.#policy.leaseSeconds);
    else if (!this.#standsDown) this.#firewall.remove();
    return atWar;
  }

  close(): void {
    this.#closed = true;
    this.#firewall.close();
    this.#guard.close();
  }

  /** Packets and bytes that an attack's rules have taken: of its own lanes, and of those of its port that only strangers use. */
  hitsOf(attack: Attack, held = this.#plan) {
    if (this.#standsDown) return [];
    const mitigated = held.byAttack.get(attack.id)?.mitigations.map(({ lane }) => lane) ?? [];
    return [...new Set([...attack.lanes, ...mitigated])].map((lane) => ({
      id: `mit_${nameOf(lane)}`,
      ...this.#firewall.hits(lane),
    }));
  }

  /** The closed loop, and the way that peers speak: both are told from counters. */
  lookAfterPeers(now: number, counts: Counts): NewEvent[] {
    const { detector } = this.#options;
    const seen = { ports: this.#facts.ports, armed: this.#plan.armed, calm: !detector.alert };
    const told = this.#peers.rollbacks(now, counts, seen).flatMap((found) => {
      const plans = this.enforce();
      const attack = detector.attacks.find(({ lanes }) => lanes.includes(found.lane));
      return this.#peers.words(found, { attack, plans });
    });
    const peace = this.#plan.armed.length === 0;
    const { ports, news } = this.#peers.manners(this.#facts.ports, this.#configured, counts, peace);
    if (ports.some(({ strictness }, index) => strictness !== this.#facts.ports[index]!.strictness)) {
      this.#facts = { ...this.#facts, ports };
      detector.ports = ports;
      this.load();
      this.enforce();
    }
    return [...told, ...news];
  }

  /** What is due by now: a look for damage, leases that want renewing, rules that fit no more. */
  tick(now: number): void {
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      const damage = this.#guard.look();
      if (damage) this.#repair(damage);
    }
    const { armed, watched, firstAid } = this.#plan;
    const held = armed.length + watched.length + firstAid.length > 0;
    if (held && now - this.#renewedAt >= (this.#policy.leaseSeconds * 1000) / RENEWALS_PER_LEASE) this.enforce();
    if (!this.#options.detector.alert && now - this.#retunedAt >= RETUNE_MS) {
      this.#retunedAt = now;
      this.#retune();
    }
  }

  #retune(): void {
    let pps = 0;
    for (const rate of this.#options.detector.rates.values()) pps += rate.pps;
    const busy = isBusy(pps, this.#facts.busy);
    const moved = this.#surroundings.moved(this.#facts);
    if (!moved && busy === this.#facts.busy && !this.#tripsMoved()) return;
    this.#facts = { ...this.#facts, busy };
    this.load();
  }

  #bellOf(lane: LaneId): number {
    return this.#options.detector.threshold(lane).bell.pps;
  }

  /** Have learned thresholds left those in the kernel by a quarter? */
  #tripsMoved(): boolean {
    return this.#firewall.lanes.some((lane) => {
      const wanted = this.#bellOf(lane);
      const held = this.#tripsInKernel.get(lane) ?? 0;
      return wanted > held * 1.25 || wanted < held * 0.75;
    });
  }

  /** Somebody else changed what we had loaded. With a table the kernel's knowledge is gone too, so the live peers are asked for again. */
  #repair(damage: Damage | "table_removed"): void {
    const { vpns, sink, clock } = this.#options;
    if (this.#repairing || clock.now() < this.#repairAfter) return;
    this.#repairing = true;
    void vpns
      .livePeers(Date.now() / 1000)
      .then((seeds) => {
        if (this.#closed || this.#standsDown) return;
        this.load(seeds, damage === "interface_changed");
        this.enforce();
        this.#repairFailed = false;
        sink.emit({ event: "agent.warning", code: damage, message: DAMAGE_WORDS[damage] });
      })
      .catch((error: Error) => {
        this.#repairAfter = clock.now() + LOOK_MS;
        if (!this.#repairFailed) {
          const message = `The rules cannot be loaded again: ${error.message}`.slice(0, 500);
          sink.emit({ event: "agent.warning", code: "repair_failed", message });
        }
        this.#repairFailed = true;
      })
      .finally(() => {
        this.#repairing = false;
      });
  }
}
