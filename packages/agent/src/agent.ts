import { type Change, Detector, type DetectorOptions } from "@flowtriq/detection/detect";
import type { Mac1Key } from "@flowtriq/detection/mac1";
import { mac1Key } from "@flowtriq/detection/mac1";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { LaneId, type VpnPort } from "@flowtriq/protocol/lane";
import type { Observation } from "@flowtriq/protocol/observation";
import type { NodePolicy, Policy } from "@flowtriq/protocol/policy";
import type { Captures } from "./captures.ts";
import { localPolicy } from "./config.ts";
import { eventsOf, removed } from "./events.ts";
import { discoverPorts, watchedInterfaces } from "./host.ts";
import { Ledger } from "./ledger.ts";
import { releaseMemory } from "./libc.ts";
import { NflogListener } from "./nflog.ts";
import type { Sample } from "./nflog-message.ts";
import { ObservationClock } from "./observe.ts";
import { Protection } from "./protection.ts";
import { startRecording } from "./recording.ts";
import { CURIOUS_MS, PEACE_MS, rhythmOf, SIEGE_MS } from "./rhythm.ts";
import { newId, type Sink } from "./sink.ts";
import type { StateDir } from "./state.ts";
import { SteadyClock } from "./steady.ts";
import { inherit } from "./successor.ts";
import { surroundings } from "./surroundings.ts";
import { Tunnels } from "./tunnels.ts";
import { VERSION } from "./version.ts";
import { publicKeys } from "./vpn/wireguard.ts";
import { warmUp } from "./warm-up.ts";
import { Witness } from "./witness.ts";

const TUNNELS_PEACE_MS = 2_000;
const TUNNELS_WAR_MS = 1_000;
const SAVE_MS = 600_000;
const RELEASE_WAR_MS = 5_000;
const RELEASE_PEACE_MS = 60_000;
/** The first seconds touch code that is not needed again. */
const FIRST_RELEASE_MS = 10_000;
const SNAPLEN = 192;

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
  #protection!: Protection;
  readonly #ledger: Ledger;
  #nflog: NflogListener | undefined;
  #captures: Captures | undefined;
  readonly #witness = new Witness();
  #seconds = new ObservationClock();
  readonly #clock = new SteadyClock();
  #vpns!: Tunnels;
  #tunnels: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #tickEvery = PEACE_MS;
  #tunnelsAt = 0;
  #savedAt = 0;
  #releasedAt = 0;
  readonly #startedAt = Date.now();
  #stopped = false;
  #samples = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#sink = options.sink;
    this.#policy = localPolicy(options.config);
    this.#ledger = new Ledger(options.state, options.sink, () => this.#openAttacks());
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
    const seeds = await this.#vpns.livePeers(Date.now() / 1000);
    this.#nflog = new NflogListener(config.nflogGroup, SNAPLEN);
    const { captures, recordGroup } = startRecording(config, state, this.#sink, SNAPLEN);
    this.#captures = captures;
    try {
      this.#protection = new Protection({
        facts: this.#hostFacts(interfaces, recordGroup),
        policy: this.#policy,
        detector: this.#detector,
        vpns: this.#vpns,
        sink: this.#sink,
        clock: this.#clock,
      });
      this.#protection.load(seeds);
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
      backend: `nftables/${this.#protection.hook}`,
      tunnels: this.#tunnels,
      adopted,
    });
    this.#savedAt = this.#clock.now();
    this.#schedule();
    releaseMemory();
    this.#releasedAt = this.#clock.now() - RELEASE_PEACE_MS + FIRST_RELEASE_MS;
  }

  #hostFacts(interfaces: string[], recordGroup: number | undefined): HostFacts {
    const { config } = this.#options;
    return {
      table: DEFAULT_BRAND.agentName,
      interfaces,
      ports: this.#ports,
      hook: "ingress",
      nflogGroup: config.nflogGroup,
      samplesPerSecond: config.samplesPerSecond,
      ...(recordGroup === undefined ? {} : { recordGroup }),
      trips: (lane) => this.#detector.threshold(lane).bell,
      seeds: [],
      busy: false,
      neverBlock: this.#policy.neverBlock,
      notrack: config.notrack,
      ...surroundings(),
    };
  }

  /** In peace nothing stays in the kernel; in war the rules stay for a successor until their lease runs out. */
  stop(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#nflog?.close();
    this.#vpns.close();
    this.#captures?.close();
    let leftInKernel = this.#protection.plan.armed.length > 0;
    try {
      leftInKernel = this.#protection.leave();
      this.#save();
    } finally {
      this.#sink.emit({ event: "agent.stopped", reason, leftInKernel });
      this.#protection.close();
    }
  }

  /** Takes every rule of ours out of the kernel at once, and keeps out until the agent is started anew. */
  withdrawAll(): void {
    this.#protection.standDown();
    clearTimeout(this.#timer);
    this.#captures?.endAll();
    this.#ledger.tell(this.#detector.attacks.map((attack) => removed(attack, "withdrawn", this.#clock.now(), [])));
    this.#save();
  }

  /** Takes the rules of one attack back; they stay away for as long as it lasts. */
  withdraw(attackId: string): boolean {
    const attack = this.#detector.attacks.find(({ id }) => id === attackId);
    if (!attack || this.#protection.withdrawn.includes(attackId)) return false;
    const inForce = this.#protection.withdraw(attackId);
    const hits = this.#protection.hitsOf(attack);
    this.#ledger.tell(inForce ? [removed(attack, "withdrawn", this.#clock.now(), hits)] : []);
    return true;
  }

  status() {
    return {
      version: VERSION,
      mode: this.#policy.mode,
      revision: this.#revision,
      standingDown: this.#protection.standsDown,
      interfaces: this.#protection.facts.interfaces,
      backend: `nftables/${this.#protection.hook}`,
      ports: this.#ports,
      tunnels: this.#tunnels,
      attacks: this.#detector.attacks,
      armed: this.#protection.plan.armed,
      lanes: Object.fromEntries(this.#detector.rates),
      rules: this.#protection.state(),
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
    const before = { policy: this.#policy, revision: this.#revision };
    try {
      this.#take(wanted);
      this.#detector.policy = this.#policy;
      this.#protection.change(this.#policy);
    } catch (error) {
      this.#policy = before.policy;
      this.#revision = before.revision;
      this.#detector.policy = before.policy;
      const reason = (error as Error).message.slice(0, 500);
      this.#sink.emit({ event: "policy.refused", revision: wanted.revision, reason });
      return;
    }
    this.#fromService ||= fromService;
    if (fromService) this.#ledger.quietly(() => this.#options.state.writePolicy(wanted));
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

  /** Takes over what a predecessor left, and tells what it could not tell any more. */
  #adopt(): string[] {
    const now = this.#clock.now();
    const left = this.#ledger.inherit();
    const { adopted, withdrawn, news } = inherit(left, this.#protection.leasedNow(), this.#protection.facts, now);
    this.#protection.inherit(withdrawn);
    this.#detector.adopt(adopted, now);
    this.#protection.enforce();
    this.#ledger.tell(news);
    const ids = adopted.map(({ id }) => id);
    this.#captures?.recover(left?.attacks ?? [], ids, Date.now());
    return ids;
  }

  #rhythm(): number {
    return rhythmOf({ alert: this.#detector.alert, busy: () => this.#detector.busy(this.#clock.now()) });
  }

  #schedule(after = this.#rhythm()): void {
    this.#tickEvery = after;
    this.#timer = setTimeout(() => {
      this.#tick();
      if (!this.#stopped && !this.#protection.standsDown) this.#schedule();
    }, after);
  }

  /** A trip has made us curious: a reading now and one soon tell the rate of what is going on. */
  #hurry(): void {
    if (this.#tickEvery <= SIEGE_MS || !this.#detector.alert || this.#protection.standsDown) return;
    clearTimeout(this.#timer);
    this.#tick();
    this.#schedule(CURIOUS_MS);
  }

  #onSample({ prefix, bytes }: Sample): void {
    if (this.#stopped || this.#protection.standsDown) return;
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
    const counts = this.#protection.counts();
    // After the reading: a stall before it must not make the rate look higher.
    const now = this.#clock.now();
    if (!counts) return;
    this.#follow(this.#detector.count(now, counts, this.#tunnels));
    const news = this.#protection.lookAfterPeers(now, counts);
    if (news.length > 0) this.#ledger.tell(news);
    const seen = this.#seconds.second(now, counts, this.#tunnels);
    if (seen) this.#options.onObservation?.(seen);
    this.#captures?.tick(Date.now());
    this.#witness.tick(now, counts, this.#detector.attacks);
    this.#housekeeping(now);
  }

  #housekeeping(now: number): void {
    const war = this.#detector.alert;
    this.#protection.tick(now);
    if (now - this.#tunnelsAt >= (war ? TUNNELS_WAR_MS : TUNNELS_PEACE_MS)) {
      this.#tunnelsAt = now;
      // Never awaited: a daemon that does not answer must not hold up the loop.
      void this.#vpns.count(now / 1000).then((tunnels) => {
        this.#tunnels = tunnels;
      });
    }
    if (now - this.#savedAt >= SAVE_MS) {
      this.#savedAt = now;
      this.#save();
    }
    if (now - this.#releasedAt >= (war ? RELEASE_WAR_MS : RELEASE_PEACE_MS)) {
      this.#releasedAt = now;
      releaseMemory();
    }
  }

  /** What follows from a change: rules first, words after. */
  #follow(changes: Change[]): void {
    if (changes.length === 0) return;
    const plans = this.#protection.enforce();
    const events = changes.flatMap((change) =>
      eventsOf(
        change,
        plans,
        (attack) => this.#protection.hitsOf(attack, plans.before),
        (attack) => this.#witness.end(attack, change.at),
      ),
    );
    for (const { kind, at, attack } of changes) {
      if (kind === "started") {
        this.#captures?.begin(attack, at);
        this.#witness.begin(attack, at);
      }
      if (kind !== "ended") continue;
      this.#protection.forget(attack.id);
      this.#captures?.end(attack);
    }
    this.#ledger.tell(events);
  }

  #openAttacks() {
    const { attacks } = this.#detector;
    const { standsDown, withdrawn } = this.#protection;
    const back = standsDown ? attacks.map(({ id }) => id) : withdrawn;
    return { at: this.#clock.now(), attacks, withdrawn: back, stoodDown: standsDown };
  }

  #save(): void {
    this.#ledger.quietly(() => this.#options.state.writeBaselines(this.#detector.baselines));
    this.#ledger.save();
  }
}
