import type { FloodResult } from "./flood.ts";
import { type Family, run, type Topology } from "./namespaces.ts";
import { ORDERED_PACKETS } from "./ring.ts";

export interface Count {
  packets: number;
  bytes: number;
}

/** Attack packets since the last reset, seen at three places of the concentrator's kernel. */
export interface MeterReading {
  /** Came in on eth0, before every other hook. */
  arrived: Count;
  /** Left over after the ingress hook and the raw tables. IPv4 fragments that make no whole are last seen here. */
  entered: Count;
  /** Left over after all rules of the host: what the protocols and their processes get. */
  passed: Count;
  /** The same by destination port, for the ports that the meter was told. */
  ports: Map<number, { arrived: Count; passed: Count }>;
}

/** The first packet of a flood that did not pass. Packets are numbered from 0; times count from the first packet. */
export interface FirstDrop {
  packet: number;
  ms: number;
  /** The true moment lies between these. */
  earliestMs: number;
  latestMs: number;
}

export interface Meter {
  /** The places are read one after the other, some milliseconds apart: compare them exactly only when no flood runs. */
  read(): Promise<MeterReading>;
  /** Zeroes everything: before each flood whose first drop is wanted. */
  reset(): Promise<void>;
  /** How many packets of each group of 256, in the flood's order, arrived and passed. */
  order(family: Family): Promise<{ arrived: Map<number, number>; passed: Map<number, number> }>;
  stop(): Promise<void>;
}

export interface MeterOptions {
  ports?: number[];
  /** False: what arrives is not counted, so that a packet which is dropped costs nothing but its drop. */
  arrivals?: boolean;
}

const TABLE = "lab_meter";

/**
 * Counts attack packets with an nftables table of the lab's own, so that what the agent claims is checked by something else.
 * An attack packet is one whose Ethernet source is the flood's; tunnels and answers are never counted. It lives in sets whose
 * elements count, because `nft list counters` reads every set of the host and stalls for seconds beside a large one.
 */
export async function startMeter(lab: Topology, options: MeterOptions = {}): Promise<Meter> {
  const { namespace } = lab.concentrator;
  const text = ruleset(lab.floodMac, options.ports ?? [51820, 1194, 500, 4500], options.arrivals ?? true);
  const load = (input: string) => run(namespace, ["nft", "-f", "-"], { input });
  await load(text);

  /** Each line of `nft -i` is a command of its own: one command with several lists finds only the first set. */
  async function list(...sets: string[]): Promise<Element[][]> {
    const input = sets.map((set) => `list set inet ${TABLE} ${set}\n`).join("");
    const { stdout } = await run(namespace, ["nft", "-j", "-i"], { input });
    const answers = stdout.split("\n").filter((line) => line.startsWith("{"));
    if (answers.length !== sets.length) throw new Error(`the meter's table is gone from ${namespace}`);
    return answers.map(elementsOf);
  }

  return {
    async read() {
      const [passed, entered, arrived, passedPorts, arrivedPorts] = await list(
        ...["passed", "entered", "arrived", "passed_ports", "arrived_ports"],
      );
      const total = (elements: Element[] = []) => elements[0]?.count ?? { packets: 0, bytes: 0 };
      const portOf = ({ value }: Element) => Number((value as { concat: unknown[] }).concat[1]);
      const passedOf = new Map(passedPorts?.map((element) => [portOf(element), element.count]));
      const ports = arrivedPorts?.map((element) => {
        const port = portOf(element);
        return [port, { arrived: element.count, passed: passedOf.get(port) ?? { packets: 0, bytes: 0 } }] as const;
      });
      return { arrived: total(arrived), entered: total(entered), passed: total(passed), ports: new Map(ports) };
    },
    async reset() {
      await load(`delete table inet ${TABLE}\n${text}`);
    },
    async order(family) {
      const [passed, arrived] = await list(`passed_order${family}`, `arrived_order${family}`);
      const byGroup = (elements: Element[] = []) =>
        new Map(elements.map(({ value, count }) => [Number(value), count.packets] as const));
      return { arrived: byGroup(arrived), passed: byGroup(passed) };
    },
    async stop() {
      await run(namespace, ["nft", "delete", "table", "inet", TABLE]);
    },
  };
}

/**
 * When the first attack packet was dropped, or undefined if none of the first 65,280 was.
 *
 * The sender numbers its packets (`Ring.renew`), and the meter counts, by the number's high byte, how many arrived and how many
 * passed. The first group of 256 from which one is missing holds the first drop: if all its missing packets lie at its end,
 * which is so when a rule drops everything from some moment on, the first drop is exactly the number that passed. If a rule
 * lets some of the group through it may have been earlier, at most at the group's begin: `earliestMs`. The packet's time is
 * read from the sender's own log, between whose two entries it lies (0.5 ms apart when the machine is not overloaded). A packet is
 * processed by the receiving kernel within the system call that sends it, or soon after on the same processor, so time spent
 * on the way is below the log's resolution.
 */
export async function timeToFirstDrop(result: FloodResult, meter: Meter): Promise<FirstDrop | undefined> {
  const { arrived, passed } = await meter.order(result.family);
  return firstDrop(result.log, arrived, passed);
}

/** The arithmetic of `timeToFirstDrop`. */
export function firstDrop(
  log: readonly (readonly [number, number])[],
  arrived: ReadonlyMap<number, number>,
  passed: ReadonlyMap<number, number>,
): FirstDrop | undefined {
  for (let group = 0; group < ORDERED_PACKETS >> 8; group += 1) {
    const [came, went] = [arrived.get(group) ?? 0, passed.get(group) ?? 0];
    if (went >= came) continue;
    const packet = group * 256 + went;
    const [earliestMs] = whenSent(log, group * 256);
    const [before, after] = whenSent(log, packet);
    return { packet, ms: (before + after) / 2, earliestMs: went === 0 ? before : earliestMs, latestMs: after };
  }
  return undefined;
}

/** Between which two moments a packet was handed to the kernel. */
function whenSent(log: readonly (readonly [number, number])[], packet: number): [number, number] {
  const next = log.findIndex(([, sent]) => sent > packet);
  if (next < 0) throw new Error(`packet ${packet} was never sent`);
  return [log[next - 1]?.[0] ?? 0, log[next]![0]];
}

function ruleset(mac: string, ports: number[], arrivals: boolean): string {
  const total = (name: string) => `set ${name} { type ether_addr; counter; elements = { ${mac} } }`;
  const byPort = (name: string) =>
    `set ${name} { type ether_addr . inet_service; counter; elements = { ${ports.map((port) => `${mac} . ${port}`).join(", ")} } }`;
  // The number's high byte: of the IPv4 identification, or of the low half of the IPv6 flow label.
  const order = (name: string) => [
    `set ${name}_order4 { typeof @nh,32,8; size 256; flags dynamic; counter; }`,
    `set ${name}_order6 { typeof @nh,16,8; size 256; flags dynamic; counter; }`,
  ];
  const count = (name: string) => [
    `chain count_${name} {`,
    `meta l4proto { tcp, udp } ether saddr . th dport @${name}_ports`,
    `meta nfproto ipv4 update @${name}_order4 { @nh,32,8 } return`,
    `meta nfproto ipv6 update @${name}_order6 { @nh,16,8 }`,
    "}",
  ];
  return [
    `table inet ${TABLE} {`,
    ...["arrived", "entered", "passed"].map(total),
    ...["arrived_ports", "passed_ports"].map(byPort),
    ...["arrived", "passed"].flatMap(order),
    ...["arrived", "passed"].flatMap(count),
    ...(arrivals
      ? [
          'chain ingress { type filter hook ingress device "eth0" priority -900; ether saddr @arrived jump count_arrived; }',
        ]
      : []),
    // Behind the raw tables (-300), before conntrack (-200).
    "chain prerouting { type filter hook prerouting priority -290; ether saddr @entered; }",
    "chain input { type filter hook input priority 2000; ether saddr @passed jump count_passed; }",
    "}",
  ].join("\n");
}

interface Element {
  value: unknown;
  count: Count;
}

interface NftSet {
  set?: { elem?: { elem: { val: unknown; counter: Count } }[] };
}

function elementsOf(line: string): Element[] {
  const { nftables } = JSON.parse(line) as { nftables: NftSet[] };
  const elements = nftables.flatMap(({ set }) => set?.elem ?? []);
  return elements.map(({ elem }) => ({ value: elem.val, count: elem.counter }));
}
