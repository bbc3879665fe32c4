import { type Attack, type Change, type Counts, Detector, type DetectorOptions } from "@flowtriq/detection/detect";
import type { Mac1Key } from "@flowtriq/detection/mac1";
import { mac1Key } from "@flowtriq/detection/mac1";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { nameOf } from "@flowtriq/mitigation/names";
import { NO_PLAN, type Plan, type PlannedAttack, plan } from "@flowtriq/mitigation/plan";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import type { AgentConfig } from "@flowtriq/protocol/config";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { LaneId, type VpnPort } from "@flowtriq/protocol/lane";
import type { Observation } from "@flowtriq/protocol/observation";
import type { NodePolicy, Policy } from "@flowtriq/protocol/policy";
import type { Captures } from "./captures.ts";
import { localPolicy } from "./config.ts";
import { eventsOf, removed } from "./events.ts";
import { Firewall } from "./firewall.ts";
import { DAMAGE_WORDS, type Damage, Guard } from "./guard.ts";
import { discoverPorts, watchedInterfaces } from "./host.ts";
import { NflogListener, releaseMemory, type Sample } from "./netlink.ts";
import { ObservationClock } from "./observe.ts";
import { PeerCare } from "./peer-care.ts";
import { startRecording } from "./recording.ts";
import { type NewEvent, newId, type Sink, seal } from "./sink.ts";
import type { StateDir } from "./state.ts";
import { SteadyClock } from "./steady.ts";
import { inherit } from "./successor.ts";
import { SurroundingsWatch, surroundings } from "./surroundings.ts";
import { Tunnels } from "./tunnels.ts";
import { VERSION } from "./version.ts";
import { publicKeys } from "./vpn/wireguard.ts";
import { warmUp } from "./warm-up.ts";
import { Witness } from "./witness.ts";

/** The counters are read once a second in peace (the kernel's rate trips wake us meanwhile) and ten times in war. */
const PEACE_MS = 1_000;
const WAR_MS = 100;
/** An attack that goes on needs less: its rules stand, and its end is a matter of seconds. */
const SIEGE_MS = 250;
const CURIOUS_MS = 20;
const TUNNELS_PEACE_MS = 2_000;
const TUNNELS_WAR_MS = 1_000;
/** A lease is renewed this many times before it would run out. */
const RENEWALS_PER_LEASE = 4;
const SAVE_MS = 600_000;
/** Rewriting rules is not free: learned thresholds reach the kernel at most this often. */
const RETUNE_MS = 10_000;
const RELEASE_WAR_MS = 5_000;
const RELEASE_PEACE_MS = 60_000;
/** The first seconds touch code that is not needed again. */
const FIRST_RELEASE_MS = 10_000;
const SNAPLEN = 192;

/** In peace a reading falls just behind each full second, so that observations are whole seconds. */
function untilNextSecond(): number {
  const left = PEACE_MS - (Date.now() % PEACE_MS);
  return (left <= WAR_MS ? left + PEACE_MS : left) + 2;
}

export type AgentOptions = {
  config: AgentConfig;
  state: StateDir;
  sink: Sink;
  /** Called once a second with what was counted. */
  onObservation?: (seen: Observation) => void;
};

/** One host's protection: reads, decides, acts. The deciding is in detection and mitigation, which know nothing of this machine. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #sink: Sink;
  #ports: VpnPort[] = [];
  #policy: Policy;
  #revision = 0;
  #fromService = false;
  #detector!: Detector;
  #firewall!: Firewall;
  #facts!: HostFacts;
  #nflog: NflogListener | undefined;
  #captures: Captures | undefined;
  readonly #witness = new Witness();
  #seconds = new ObservationClock();
  readonly #clock = new SteadyClock();
  #guard!: Guard;
  #plan: Plan = NO_PLAN;
  #peers!: PeerCare;
  #surroundings = new SurroundingsWatch();
  #withdrawn = new Set<string>();
  #vpns!: Tunnels;
  #tunnels: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #tickEvery = PEACE_MS;
  #tunnelsAt = 0;
  #lookedAt = 0;
  #renewedAt = 0;
  #savedAt = 0;
  #retunedAt = 0;
  #releasedAt = 0;
  readonly #startedAt = Date.now();
  #stopped = false;
  #standDown = false;
  #tripsInKernel = new Map<LaneId, number>();
  #samples = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#policy = localPolicy(options.config);
  }

  get appliedRevision(): number {
    return this.#revision;
  }
  get ports(): VpnPort[] {
    return this.#ports;
  }

  async start(): Promise<void> {
    const { config, state } = this.#options;
    const interfaces = watchedInterfaces(config);
    const saved = state.readPolicy();
    if (config.service && saved) {
      this.#take(saved);
      this.#fromService = true;
    }
    this.#ports = config.ports ?? (saved?.ports.length ? saved.ports : await discoverPorts());
    const keys = await this.#mac1Keys();
    const options: DetectorOptions = {
      ports: this.#ports,
      policy: this.#policy,
      baselines: state.readBaselines(),
      samples: { ports: this.#ports, mac1Keys: keys },
      newId: () => newId("atk"),
    };
    this.#detector = new Detector(options);
    warmUp(options);
    this.#vpns = new Tunnels({
      vpn: config.vpn,
      ports: this.#ports,
      onTrouble: (message) =>
        this.#sink.emit({ event: "agent.warning", code: "tunnels_unknown", message: message.slice(0, 500) }),
    });
    this.#tunnels = await this.#vpns.count(Date.now() / 1000);
    this.#facts = {
      table: DEFAULT_BRAND.agentName,
      interfaces,
      ports: this.#ports,
      hook: "ingress",
      nflogGroup: config.nflogGroup,
      samplesPerSecond: config.samplesPerSecond,
      trips: (lane) => this.#detector.threshold(lane).bell,
      seeds: [],
      neverBlock: this.#policy.neverBlock,
      notrack: config.notrack,
      ...surroundings(),
    };
    const seeds = await this.#vpns.livePeers(Date.now() / 1000);
    this.#nflog = new NflogListener(config.nflogGroup, SNAPLEN);
    const { captures, recordGroup } = startRecording(config, state, this.#sink, SNAPLEN);
    this.#captures = captures;
    this.#facts.recordGroup = recordGroup;
    try {
      this.#firewall = new Firewall(this.#facts);
      this.#peers = new PeerCare(this.#firewall, this.#vpns, this.#sink);
      this.#guard = new Guard(this.#facts.table, interfaces);
      this.#load(seeds);
    } catch (error) {
      this.#nflog.close();
      captures?.close();
      throw error;
    }
    const adopted = this.#adopt();
    this.#nflog.listen((sample) => this.#onSample(sample));
    this.#sink.emit({
      event: "agent.ready",
      version: VERSION,
      interfaces,
      ports: this.#ports,
      mode: this.#policy.mode,
      backend: `nftables/${this.#firewall.hook}`,
      tunnels: this.#tunnels,
      adopted,
    });
    this.#renewedAt = this.#savedAt = this.#retunedAt = this.#clock.now();
    this.#schedule();
    releaseMemory();
    this.#releasedAt = this.#clock.now() - RELEASE_PEACE_MS + FIRST_RELEASE_MS;
  }

  /** In peace nothing stays in the kernel; in war the rules stay for a successor until their lease runs out. */
  stop(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#nflog?.close();
    this.#vpns.close();
    this.#captures?.close();
    const atWar = this.#plan.armed.length > 0;
    try {
      if (atWar) this.#firewall.apply(this.#plan, this.#policy.leaseSeconds);
      else if (!this.#standDown) this.#firewall.remove();
      this.#save();
    } finally {
      this.#sink.emit({ event: "agent.stopped", reason, leftInKernel: atWar });
      this.#firewall.close();
      this.#guard.close();
    }
  }

  /** Takes every rule of ours out of the kernel at once, and keeps out until the agent is started anew. */
  withdrawAll(): void {
    this.#standDown = true;
    this.#firewall.remove();
    this.#plan = NO_PLAN;
    clearTimeout(this.#timer);
    this.#captures?.endAll();
    this.#tell(this.#detector.attacks.map((attack) => removed(attack, "withdrawn", this.#clock.now(), [])));
    this.#save();
  }

  /** Takes the rules of one attack back; they stay away for as long as it lasts. */
  withdraw(attackId: string): boolean {
    const attack = this.#detector.attacks.find(({ id }) => id === attackId);
    if (!attack || this.#withdrawn.has(attackId)) return false;
    this.#withdrawn.add(attackId);
    const inForce = this.#plan.byAttack.has(attackId);
    this.#enforce();
    this.#tell(inForce ? [removed(attack, "withdrawn", this.#clock.now(), this.#hitsOf(attack))] : []);
    return true;
  }

  status() {
    return {
      version: VERSION,
      mode: this.#policy.mode,
      revision: this.#revision,
      standingDown: this.#standDown,
      interfaces: this.#facts.interfaces,
      backend: `nftables/${this.#firewall.hook}`,
      ports: this.#ports,
      tunnels: this.#tunnels,
      attacks: this.#detector.attacks,
      armed: this.#plan.armed,
      lanes: Object.fromEntries(this.#detector.rates),
      rules: this.#firewall.state(),
      samples: this.#samples,
      startedAt: this.#startedAt,
    };
  }

  /** The operator's own mode and policy, edited; while the service sends policies, its own holds. */
  reconfigure(config: AgentConfig): void {
    if (!this.#fromService) this.#change({ revision: this.#revision, policy: localPolicy(config), ports: [] }, false);
  }

  /** A policy from the service. */
  applyPolicy(wanted: NodePolicy): void {
    this.#change(wanted, true);
  }

  /** What does not compile is refused, and the last good policy stays. */
  #change(wanted: NodePolicy, fromService: boolean): void {
    const before = { policy: this.#policy, revision: this.#revision, facts: this.#facts };
    try {
      this.#take(wanted);
      this.#facts = { ...this.#facts, neverBlock: this.#policy.neverBlock };
      this.#detector.policy = this.#policy;
      if (!this.#standDown) {
        this.#load();
        this.#enforce();
      }
    } catch (error) {
      this.#policy = before.policy;
      this.#revision = before.revision;
      this.#facts = before.facts;
      this.#detector.policy = before.policy;
      this.#sink.emit({
        event: "policy.refused",
        revision: wanted.revision,
        reason: (error as Error).message.slice(0, 500),
      });
      return;
    }
    this.#fromService ||= fromService;
    if (fromService) this.#quietly(() => this.#options.state.writePolicy(wanted));
    this.#sink.emit({ event: "policy.applied", revision: wanted.revision, mode: this.#policy.mode });
  }

  #take(wanted: NodePolicy): void {
    this.#policy = wanted.policy;
    this.#revision = wanted.revision;
  }

  async #mac1Keys(): Promise<Map<number, Mac1Key>> {
    const keys = new Map<number, Mac1Key>();
    const declared = Object.entries(this.#options.config.wireguardPublicKeys).map(
      ([port, key]) => [Number(port), key] as const,
    );
    for (const [port, key] of [...(await publicKeys()), ...declared]) keys.set(port, mac1Key(key));
    return keys;
  }

  /** `seeds`: peers that are genuine before the kernel has seen a packet of theirs; only a table that is empty needs them. */
  #load(seeds: HostFacts["seeds"] = [], rebind = false): void {
    this.#facts = { ...this.#facts, ...surroundings() };
    const interfaces = this.#guard.present();
    // Nothing to protect until one of them is there again; the guard sees it.
    if (interfaces.length > 0) this.#firewall.load({ ...this.#facts, interfaces, seeds }, { rebind });
    this.#guard.accept();
    this.#tripsInKernel = new Map(this.#firewall.lanes.map((lane) => [lane, this.#detector.threshold(lane).bell.pps]));
  }

  /** Takes over what a predecessor left, and tells what it could not tell any more. */
  #adopt(): string[] {
    const now = this.#clock.now();
    const left = this.#options.state.readAttacks();
    this.#sink.deliverOnce(left?.events ?? []);
    const { adopted, withdrawn, news } = inherit(left, this.#firewall.leasedNow(), this.#facts, now);
    this.#withdrawn = new Set(withdrawn);
    this.#detector.adopt(adopted, now);
    this.#enforce();
    this.#tell(news);
    const ids = adopted.map(({ id }) => id);
    this.#captures?.recover(left?.attacks ?? [], ids, Date.now());
    return ids;
  }

  #rhythm(): number {
    if (!this.#detector.alert) return untilNextSecond();
    return this.#detector.busy(this.#clock.now()) ? WAR_MS : SIEGE_MS;
  }

  #schedule(after = this.#rhythm()): void {
    this.#tickEvery = after;
    this.#timer = setTimeout(() => {
      this.#tick();
      if (!this.#stopped && !this.#standDown) this.#schedule();
    }, after);
  }

  /** A trip has made us curious: a reading now and one soon tell the rate of what is going on. */
  #hurry(): void {
    if (this.#tickEvery <= SIEGE_MS || !this.#detector.alert || this.#standDown) return;
    clearTimeout(this.#timer);
    this.#tick();
    this.#schedule(CURIOUS_MS);
  }

  #onSample({ prefix, bytes }: Sample): void {
    if (this.#stopped || this.#standDown) return;
    this.#samples++;
    const lane = LaneId.safeParse(prefix);
    // Another program may log to our group by mistake.
    if (!lane.success) return;
    const packet = readPacket(bytes, LINK.raw);
    if (!packet) return;
    this.#captures?.sample(Date.now(), bytes);
    this.#follow(this.#detector.sample(this.#clock.now(), lane.data, packet));
    this.#hurry();
  }

  #tick(): void {
    // While no attack is measured the clock may be set; a mere suspicion is formed anew then.
    if (this.#detector.attacks.length === 0) this.#clock.follow();
    const counts = this.#firewall.counts();
    // After the reading: a stall before it must not make the rate look higher.
    const now = this.#clock.now();
    if (!counts) {
      this.#reload("table_removed");
      return;
    }
    this.#follow(this.#detector.count(now, counts, this.#tunnels));
    this.#lookAfterPeers(now, counts);
    const seen = this.#seconds.second(now, counts, this.#tunnels);
    if (seen) this.#options.onObservation?.(seen);
    this.#captures?.tick(Date.now());
    this.#witness.tick(now, counts, this.#detector.attacks);
    this.#housekeeping(now);
  }

  /** The closed loop, and the way that peers speak: both are told from counters. */
  #lookAfterPeers(now: number, counts: Counts): void {
    const { armed } = this.#plan;
    const calm = !this.#detector.alert;
    for (const found of this.#peers.rollbacks(now, counts, { ports: this.#facts.ports, armed, calm })) {
      const before = this.#plan;
      this.#enforce();
      const attack = this.#detector.attacks.find(({ lanes }) => lanes.includes(found.lane));
      this.#tell(this.#peers.words(found, { attack, plans: { before, now: this.#plan, appliedAt: now } }));
    }
    const { ports, news } = this.#peers.disguised(this.#facts.ports);
    if (news.length === 0) return;
    this.#facts = { ...this.#facts, ports };
    this.#detector.ports = ports;
    this.#load();
    this.#tell(news);
  }

  /** Somebody else changed what we had loaded. With a table the kernel's knowledge is gone too, so the live peers are asked for again. */
  #reload(damage: Damage | "table_removed"): void {
    if (this.#reloading || this.#clock.now() < this.#repairAfter) return;
    this.#reloading = true;
    void this.#vpns
      .livePeers(Date.now() / 1000)
      .then((seeds) => {
        if (this.#stopped || this.#standDown) return;
        this.#load(seeds, damage === "interface_changed");
        this.#enforce();
        this.#repairFailed = false;
        this.#sink.emit({ event: "agent.warning", code: damage, message: DAMAGE_WORDS[damage] });
      })
      .catch((error: Error) => {
        this.#repairAfter = this.#clock.now() + PEACE_MS;
        if (!this.#repairFailed) {
          const message = `The rules cannot be loaded again: ${error.message}`.slice(0, 500);
          this.#sink.emit({ event: "agent.warning", code: "repair_failed", message });
        }
        this.#repairFailed = true;
      })
      .finally(() => {
        this.#reloading = false;
      });
  }
  #reloading = false;
  #repairFailed = false;
  #repairAfter = 0;

  #housekeeping(now: number): void {
    const war = this.#detector.alert;
    if (now - this.#lookedAt >= PEACE_MS) {
      this.#lookedAt = now;
      const damage = this.#guard.look();
      if (damage) this.#reload(damage);
    }
    if (now - this.#tunnelsAt >= (war ? TUNNELS_WAR_MS : TUNNELS_PEACE_MS)) {
      this.#tunnelsAt = now;
      // Never awaited: a daemon that does not answer must not hold up the loop.
      void this.#vpns.count(now / 1000).then((tunnels) => {
        this.#tunnels = tunnels;
      });
    }
    const { armed, watched, firstAid } = this.#plan;
    const held = armed.length + watched.length + firstAid.length > 0;
    if (held && now - this.#renewedAt >= (this.#policy.leaseSeconds * 1000) / RENEWALS_PER_LEASE) {
      this.#enforce();
    }
    if (now - this.#savedAt >= SAVE_MS) {
      this.#savedAt = now;
      this.#save();
    }
    if (now - this.#releasedAt >= (war ? RELEASE_WAR_MS : RELEASE_PEACE_MS)) {
      this.#releasedAt = now;
      releaseMemory();
    }
    if (!war && now - this.#retunedAt >= RETUNE_MS) {
      this.#retunedAt = now;
      if (this.#tripsMoved() || this.#surroundings.moved(this.#facts)) this.#load();
    }
  }

  /** Have learned thresholds left those in the kernel by a quarter? */
  #tripsMoved(): boolean {
    return this.#firewall.lanes.some((lane) => {
      const wanted = this.#detector.threshold(lane).bell.pps;
      const held = this.#tripsInKernel.get(lane) ?? 0;
      return wanted > held * 1.25 || wanted < held * 0.75;
    });
  }

  /** What follows from a change: rules first, words after. */
  #follow(changes: Change[]): void {
    if (changes.length === 0) return;
    const before = this.#plan;
    this.#enforce();
    const plans = { before, now: this.#plan, appliedAt: this.#appliedAt };
    const events = changes.flatMap((change) => {
      const evidence = (attack: Attack) => this.#witness.end(attack, change.at);
      return eventsOf(change, plans, (attack) => this.#hitsOf(attack, before), evidence);
    });
    for (const { kind, at, attack } of changes) {
      if (kind === "started") {
        this.#captures?.begin(attack, at);
        this.#witness.begin(attack, at);
      }
      if (kind !== "ended") continue;
      this.#withdrawn.delete(attack.id);
      this.#captures?.end(attack);
    }
    this.#tell(events);
  }

  /** Written down before it is told: whatever ends the agent in between, a successor tells it, and once. */
  #tell(news: NewEvent[]): void {
    const events = news.map(seal);
    this.#quietly(() => this.#saveAttacks(events));
    for (const event of events) this.#sink.deliver(event);
    if (events.length > 0) this.#quietly(() => this.#saveAttacks());
  }

  #saveAttacks(events: AgentEvent[] = []): void {
    const { attacks } = this.#detector;
    const withdrawn = this.#standDown ? attacks.map(({ id }) => id) : [...this.#withdrawn];
    const stoodDown = this.#standDown;
    this.#options.state.writeAttacks({ at: this.#clock.now(), attacks, withdrawn, stoodDown, events });
  }

  #appliedAt = 0;

  #planned(): PlannedAttack[] {
    return this.#detector.attacks.map(({ id, verdict, lanes }) => ({
      id,
      verdict,
      lanes,
      withdrawn: this.#withdrawn.has(id),
      rolledBack: this.#peers.rolledBack,
    }));
  }

  /** Makes the kernel hold what policy and attacks call for now. */
  #enforce(): void {
    if (this.#standDown) return;
    this.#plan = plan(this.#policy, this.#planned(), this.#facts);
    this.#firewall.apply(this.#plan, this.#policy.leaseSeconds);
    this.#appliedAt = this.#renewedAt = this.#clock.now();
    // Rules come first, then those whom they might have forgotten.
    if (this.#plan.armed.length > 0) this.#peers.remember(this.#appliedAt, this.#plan.armed);
  }

  /** Of all lanes that the attack has armed, its own and those of its port that only strangers use. */
  #hitsOf(attack: Attack, held = this.#plan) {
    if (this.#standDown) return [];
    const mitigated = held.byAttack.get(attack.id)?.mitigations.map(({ lane }) => lane) ?? [];
    return [...new Set([...attack.lanes, ...mitigated])].map((lane) => ({
      id: `mit_${nameOf(lane)}`,
      ...this.#firewall.hits(lane),
    }));
  }

  #save(): void {
    this.#quietly(() => {
      this.#options.state.writeBaselines(this.#detector.baselines);
      this.#saveAttacks();
    });
  }

  /** State on disk helps a successor; not being able to write it must not stop the protection. */
  #quietly(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!this.#saidFull) {
        this.#sink.emit({
          event: "agent.warning",
          code: "state_not_saved",
          message: `State cannot be saved: ${(error as Error).message}`.slice(0, 500),
        });
      }
      this.#saidFull = true;
    }
  }
  #saidFull = false;
}
