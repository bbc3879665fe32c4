import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import { flood } from "@flowtriq/lab/flood";
import { type Conversation, type Live, startLive } from "@flowtriq/lab/live";
import { createTopology, FAMILIES, ip, run, type Topology } from "@flowtriq/lab/namespaces";
import { createRandom, type Random } from "@flowtriq/lab/random";
import { BARE_HOST, type HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { firstAidOf } from "@flowtriq/mitigation/mitigations";
import { firstAidSet } from "@flowtriq/mitigation/names";
import { toNftables, toRemoval } from "@flowtriq/mitigation/nftables";
import { VPN_PROTOCOLS, VpnPort } from "@flowtriq/protocol/lane";
import { Policy } from "@flowtriq/protocol/policy";
import { VECTORS } from "@flowtriq/protocol/vector";
import { TABLE } from "./agent.ts";
import { armAll } from "./scenes.ts";

/** An administrator's address: in every list of addresses that are never blocked, unless the list is empty. */
const ADMIN = { 4: "10.99.0.77", 6: "fd99::77" } as const;

const tcp = (name: string, port: number, to: string): Conversation => ({
  ...{ name, transport: "tcp", kind: "standing", to, port },
});

/** Whom a policy may not cut off: administrators, monitoring, BGP neighbours, the service, resolvers and clocks. */
function conversations({ concentrator, clients }: Topology) {
  const [, provider] = clients;
  const to = concentrator.address;
  const out = provider!.address;
  const families = FAMILIES.map((family) => ({ family, v: `v${family}` }));
  return {
    /** From a client: sessions that were open before. */
    administrator: families.flatMap(({ family, v }) => [
      tcp(`ssh ${v}`, 22, to[family]),
      tcp(`management ${v}`, 443, to[family]),
    ]),
    /** From an address that is never blocked: anything, also anew. */
    neverBlocked: families.flatMap(({ family, v }): Conversation[] => [
      { ...tcp(`new ssh ${v}`, 22, to[family]), kind: "new", from: ADMIN[family] },
      // From the port of a clock, as monitoring of clocks is: what nobody asked for from there is taken for a reflection.
      {
        ...tcp(`monitoring ${v}`, 161, to[family]),
        ...{ transport: "udp", kind: "new", from: ADMIN[family], fromPort: 123 },
      },
    ]),
    neighbour: families.map(({ family, v }) => tcp(`bgp in ${v}`, 179, to[family])),
    /** What the host itself asks for. */
    host: families.flatMap(({ family, v }): Conversation[] => [
      tcp(`bgp out ${v}`, 179, out[family]),
      tcp(`service ${v}`, 443, out[family]),
      { ...tcp(`new to the service ${v}`, 443, out[family]), kind: "new" },
      { ...tcp(`resolver ${v}`, 53, out[family]), transport: "udp", kind: "new" },
      { ...tcp(`clock ${v}`, 123, out[family]), transport: "udp", kind: "new" },
    ]),
  };
}

/** Below the range of ephemeral ports: above it a declared port could be one of the host's own questions. */
const PORTS = [22, 53, 123, 137, 179, 443, 500, 1194, 1701, 4500, 5555, 8443, 13231, 31999] as const;

const MODES = ["observe", "approve", "enforce"] as const;

/** Any policy that the schema lets pass. */
export function randomPolicy(random: Random): { policy: Policy; ports: VpnPort[] } {
  const some = <T>(most: number, make: () => T) => Array.from({ length: random.below(most + 1) }, make);
  const declared = new Map(
    some(8, () =>
      VpnPort.parse({
        port: random.below(3) === 0 ? random.between(1, 32_767) : random.pick(PORTS),
        transport: random.pick(["udp", "udp", "udp", "tcp"]),
        protocol: random.pick(VPN_PROTOCOLS),
        strictness: random.pick(["auto", "strict", "lenient"]),
      }),
    ).map((port) => [`${port.transport} ${port.port}`, port] as const),
  );
  const ports = [...declared.values()];
  const lanes = lanesOf(ports);
  const neverBlock = some(12, () => randomPrefix(random));
  if (neverBlock.length > 0) neverBlock.push(...FAMILIES.map((family) => ADMIN[family]));
  const policy = Policy.parse({
    mode: random.pick(MODES),
    vectorModes: Object.fromEntries(some(6, () => [VECTORS[random.below(VECTORS.length)], random.pick(MODES)])),
    sensitivity: 1.5 + random.below(98),
    quietSeconds: random.between(5, 600),
    leaseSeconds: random.between(15, 60),
    neverBlock,
    thresholdsPps: Object.fromEntries(
      some(10, () => [lanes[random.below(lanes.length)], random.pick([1, 2, 50, 5_000, 100_000_000])]),
    ),
  });
  return { policy, ports };
}

function randomPrefix(random: Random): string {
  const byte = () => random.below(256);
  const group = () => random.below(65_536).toString(16);
  return random.pick([
    () => `${byte()}.${byte()}.${byte()}.${byte()}`,
    () => `${byte()}.${byte()}.${byte()}.${byte()}/${random.below(33)}`,
    () => `${group()}:${group()}::${group()}`,
    () => `${group()}:${group()}::/${random.below(129)}`,
  ])();
}

type Machines = Record<"administrator" | "neighbour" | "host", Live>;

export interface Lockout {
  seed: number;
  silent: string[];
}

/**
 * Loads one random policy after another, all its lanes armed, under a mixed attack that pretends to come from the very machines
 * that must not be cut off, and says who of them then got no answer.
 */
export class Policies {
  readonly #lab: Topology;
  readonly #machines: Machines;
  readonly #never: string[];
  readonly #sessions: string[];
  repeats = 0;

  private constructor(lab: Topology, machines: Machines, talk: ReturnType<typeof conversations>) {
    this.#lab = lab;
    this.#machines = machines;
    this.#never = talk.neverBlocked.map(({ name }) => name);
    this.#sessions = talk.administrator.map(({ name }) => name);
  }

  static async begin(): Promise<Policies> {
    const lab = await createTopology({ clients: 2 });
    try {
      const [client, provider] = lab.clients;
      await ip([`addr add ${ADMIN[4]}/24 dev eth0`, `addr add ${ADMIN[6]}/64 dev eth0 nodad`], client!.namespace);
      const talk = conversations(lab);
      const listen = (list: [number, "tcp" | "udp"][]) => list.map(([port, transport]) => ({ port, transport }));
      const neighbour = await startLive(provider!.namespace, {
        echo: listen([
          [443, "tcp"],
          [179, "tcp"],
          [53, "udp"],
          [123, "udp"],
        ]),
        conversations: talk.neighbour,
      });
      const host = await startLive(lab.concentrator.namespace, {
        echo: listen([
          [22, "tcp"],
          [443, "tcp"],
          [179, "tcp"],
          [161, "udp"],
        ]),
        conversations: talk.host,
      });
      const administrator = await startLive(client!.namespace, {
        echo: [],
        conversations: [...talk.administrator, ...talk.neverBlocked],
      });
      const machines = { administrator, neighbour, host };
      await Promise.all(Object.values(machines).map((machine) => machine.connect()));
      return new Policies(lab, machines, talk);
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Floods for so many seconds, at a rate that leaves the machines time to answer. */
  async attack(seconds: number): Promise<void> {
    const [client, provider] = this.#lab.clients;
    const spoofed = { pps: 500, seconds, slots: 1024 } as const;
    const floods = FAMILIES.flatMap((family) => [
      { attack: "udp_random", sources: "random", port: 1194, family } as const,
      // So many requests in the administrator's name that its address alone is over every limit.
      { attack: "syn_options", sources: { address: client!.address[family] }, port: 22, family } as const,
      { attack: "syn_options", sources: { address: ADMIN[family] }, port: 22, family } as const,
      { attack: "dns_amplification", sources: { address: provider!.address[family] }, family } as const,
      { attack: "udp_fragment", sources: { address: ADMIN[family] }, family } as const,
    ]);
    await Promise.all(floods.map((one, index) => flood(this.#lab, { ...spoofed, ...one, seed: index + 1 })));
  }

  /** Everybody's turn under one policy. Every fourth one is that of an agent which starts anew and has learned nothing. */
  async judge(seed: number): Promise<Lockout> {
    const { policy, ports } = randomPolicy(createRandom(seed));
    const text = `${seed % 4 === 0 ? EMPTY : ""}${compiled(policy, ports)}`;
    await this.#nft(text);
    const { administrator, neighbour, host } = this.#machines;
    const answers = await Promise.all([
      administrator.round(policy.neverBlock.length > 0 ? [...this.#sessions, ...this.#never] : this.#sessions),
      neighbour.round(),
      host.round(),
    ]);
    for (const { repeats } of answers) this.repeats += repeats;
    return { seed, silent: answers.flatMap(({ silent }) => silent) };
  }

  /** Nobody spared, nothing learned: who of the never blocked is then cut off. Questions from a reflector's port always are. */
  async unspared(): Promise<string[]> {
    const { ports } = randomPolicy(createRandom(1));
    await this.#nft(`${EMPTY}${compiled(Policy.parse({ mode: "enforce" }), ports)}`);
    return (await this.#machines.administrator.round(this.#never)).silent;
  }

  /** Has the kernel look at what so many random policies compile to, without loading any of it. Throws with what nft says. */
  async check(first: number, count: number): Promise<void> {
    const texts = Array.from({ length: count }, (_, index) => {
      const seed = first + index;
      const { policy, ports } = randomPolicy(createRandom(seed));
      const interfaces = seed % 3 === 0 ? ["eth0", "lo"] : ["eth0"];
      return compiled(policy, ports, {
        table: `check${seed}`,
        hook: seed % 2 === 0 ? "ingress" : "prerouting",
        interfaces,
      });
    });
    await run(this.#lab.concentrator.namespace, ["nft", "-c", "-f", "-"], { input: texts.join("") });
  }

  async #nft(input: string): Promise<void> {
    await run(this.#lab.concentrator.namespace, ["nft", "-f", "-"], { input });
  }

  async end(): Promise<void> {
    for (const machine of Object.values(this.#machines)) machine.stop();
    await this.#lab.destroy();
  }
}

/** Takes the table away, whether it stands or not. */
const EMPTY = `table inet ${TABLE}\n${toRemoval(TABLE)}`;

/** The text that an agent would load, and every lane armed; first aid too. Modes only ever make it less. */
function compiled(policy: Policy, ports: VpnPort[], where: Partial<HostFacts> = {}): string {
  const detector = new Detector({
    ...{ ports, policy, baselines: new Baselines() },
    samples: { ports, mac1Keys: new Map() },
    newId: () => "atk",
  });
  const facts: HostFacts = {
    table: TABLE,
    interfaces: ["eth0"],
    ports,
    hook: "ingress",
    nflogGroup: 4999,
    samplesPerSecond: 200,
    trips: (lane) => detector.threshold(lane).bell,
    ...BARE_HOST,
    neverBlock: policy.neverBlock,
    ...where,
  };
  const firstAid = lanesOf(ports)
    .filter(firstAidOf)
    .map((lane) => `add element inet ${facts.table} ${firstAidSet(lane)} { ipv4 timeout 1h, ipv6 timeout 1h }\n`);
  return [toNftables(facts), armAll(ports, facts.table), ...firstAid].join("");
}
