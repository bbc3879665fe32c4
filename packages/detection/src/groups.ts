import type { Sample, Summary } from "./features.ts";
import { isBogon, isLocal } from "./flows.ts";
import { type Kind, resembles, vectorOfAnswer } from "./kinds.ts";
import type { Address } from "./packet.ts";
import { REFLECTORS } from "./reflectors.ts";

/** Unexplained samples of one kind, and how many packets they stand for. */
export type Group = { samples: Sample[]; packets: number };
type Groups = Map<Kind, Group>;

/** Samples by kind, with what only accompanies an attack counted to it. */
export function grouped(summary: Summary): Groups {
  const groups: Groups = new Map();
  for (const sample of summary.kept) {
    const group = groups.get(sample.kind);
    if (group) group.samples.push(sample);
    else groups.set(sample.kind, { samples: [sample], packets: 0 });
  }
  for (const [kind, { samples }] of groups) {
    // Of a kind not all are kept, and a kind may come in several lanes.
    const kept = summary.total(kind) / samples.length;
    for (const sample of samples) sample.packets = kept * summary.weightOf(sample.lane);
  }
  for (const group of groups.values()) group.packets = packetsOf(group.samples);
  behindNat(groups);
  unknownService(groups);
  likeAnswers(groups);
  spokenProtocols(groups);
  rolledFlags(groups);
  laterPieces(groups);
  firstPieces(groups);
  // Closed ports of reflectors answer the same forged SYNs with RST.
  if ((groups.get("rst")?.packets ?? 0) < (groups.get("synack")?.packets ?? 0))
    move(groups, "rst", "synack", () => true);
  return groups;
}

export const packetsOf = (samples: readonly Sample[]) => samples.reduce((sum, { packets }) => sum + packets, 0);

/** Moves samples to another group, or out of them all, with their part of the packets. */
function move(groups: Groups, from: Kind, to: Kind | undefined, which: (sample: Sample) => boolean): void {
  const group = groups.get(from);
  const moved = group?.samples.filter(which) ?? [];
  if (!group || moved.length === 0) return;
  const packets = (group.packets * packetsOf(moved)) / packetsOf(group.samples);
  if (to !== undefined) {
    const target = groups.get(to) ?? { samples: [], packets: 0 };
    groups.set(to, { samples: [...target.samples, ...moved], packets: target.packets + packets });
  }
  const rest = group.samples.filter((sample) => !which(sample));
  if (rest.length === 0) groups.delete(from);
  else groups.set(from, { samples: rest, packets: group.packets - packets });
}

/** A reflector behind a NAT has any port: what looks like an answer is one when such answers are there already. */
function behindNat(groups: Groups): void {
  for (const from of ["udp", "service_answer"] as const) {
    for (const [kind, { samples }] of [...groups]) {
      const rest = groups.get(from);
      if (!rest || !vectorOfAnswer[kind] || kind === from || samples.length < 4) continue;
      const alike = ({ resembled, speaks }: Sample) => speaks === undefined && resembles(resembled, kind);
      if (samples.length * 3 >= rest.samples.filter(alike).length) move(groups, from, kind, alike);
    }
  }
}

const senders = (samples: readonly Sample[]) => new Set(samples.map(({ source }) => source)).size;

/** Many senders with one source port that is nobody's own: a service that is in no list of reflectors. */
function unknownService(groups: Groups): void {
  const udp = groups.get("udp");
  if (!udp || udp.samples.length < 12) return;
  const byPort = new Map<number, Sample[]>();
  for (const sample of udp.samples) {
    const same = byPort.get(sample.sourcePort);
    if (same) same.push(sample);
    else byPort.set(sample.sourcePort, [sample]);
  }
  const ranked = [...byPort].sort(([, a], [, b]) => b.length - a.length);
  const [port, samples] = ranked.find(([, list]) => senders(list) >= 6) ?? [];
  if (port === undefined || !samples) return;
  const lengths = new Set(samples.map(({ wireLength }) => wireLength)).size;
  const toItself = samples.filter(({ destinationPort }) => destinationPort === port).length;
  const enough = samples.length >= udp.samples.length * 0.2 && senders(samples) >= senders(udp.samples) * 0.4;
  // Dynamic ports are nobody's; one length, or the same port on both sides, is a tool's doing.
  if (!enough || port >= 49_152 || lengths < 3 || toItself > samples.length / 2) return;
  // The content of a service with a vector of its own is known by now: what else comes from its port only pretends.
  if (REFLECTORS.has(port) && REFLECTORS.get(port) !== "udp_amplification") return;
  move(groups, "udp", "service_answer", ({ sourcePort }) => sourcePort === port);
}

/** Datagrams that begin as a flood's answers do, and go where they go, are of the same flood. */
function likeAnswers(groups: Groups): void {
  for (const [kind, group] of [...groups]) {
    const model = vectorOfAnswer[kind] && group.samples.length >= 5 ? modelOf(group) : undefined;
    if (!model) continue;
    const alike = ({ head, destinationPort }: Sample) =>
      head === model.head && (model.port === undefined || destinationPort === model.port);
    move(groups, "udp", kind, alike);
  }
}

/** First octet, and destination port if there is a common one, of most samples. */
function modelOf({ samples }: Group): { head: number; port: number | undefined } | undefined {
  const { head, destinationPort } = samples[samples.length >> 1]!;
  const heads = samples.filter((sample) => sample.head === head).length;
  const ports = samples.filter((sample) => sample.destinationPort === destinationPort).length;
  if (head < 0 || heads < samples.length * 0.6) return undefined;
  return { head, port: ports >= samples.length * 0.6 ? destinationPort : undefined };
}

/** Ordinary protocols go their way, unless all of them say the same, or their senders are made up. */
function spokenProtocols(groups: Groups): void {
  const spoken = groups.get("udp")?.samples.filter(({ speaks }) => speaks !== undefined) ?? [];
  const marks = new Map<number, number>();
  for (const { mark } of spoken) marks.set(mark, (marks.get(mark) ?? 0) + 1);
  const alike = spoken.length >= 8 && Math.max(...marks.values()) >= spoken.length * 0.5;
  const sources = new Set(spoken.map(({ source }) => source));
  const impossible = [...sources].filter((source) => isBogon(source) && !isLocal(source)).length;
  const forged = impossible >= 3 && impossible >= sources.size * 0.04;
  if (!alike && !forged) move(groups, "udp", undefined, ({ speaks }) => speaks !== undefined);
}

/** A tool that rolls the flags of its segments makes all kinds of them, but half are such as no stack sends. */
function rolledFlags(groups: Groups): void {
  const odd = groups.get("odd_tcp");
  const others = (["syn", "synack", "ack", "rst"] as const).filter((kind) => groups.has(kind));
  const all = others.reduce((sum, kind) => sum + groups.get(kind)!.packets, 0);
  if (!odd || odd.samples.length < 5) return;
  const flags = new Set(odd.samples.map(({ fingerprint }) => fingerprint >>> 22));
  if (flags.size >= 4 && odd.packets >= all * 0.4) for (const kind of others) move(groups, kind, "odd_tcp", () => true);
}

/** Later pieces of long answers: their first piece names the service, they do not. */
function laterPieces(groups: Groups): void {
  const fragments = groups.get("fragment");
  const answers = [...groups].filter(([kind]) => vectorOfAnswer[kind]);
  const [kind, owner] = answers.sort(([, a], [, b]) => b.packets - a.packets)[0] ?? [];
  if (!fragments || !kind || !owner) return;
  const known = new Set(owner.samples.map(({ source }) => source));
  const shared = fragments.samples.filter(({ source }) => known.has(source)).length;
  const begun = owner.samples.filter(({ moreFragments }) => moreFragments).length;
  if (shared >= fragments.samples.length * 0.5 || (begun >= 3 && begun >= owner.samples.length * 0.2)) {
    // Their number counts; their look, without ports or content, would only blur the picture.
    owner.packets += fragments.packets;
    groups.delete("fragment");
  }
}

/** What begins datagrams whose later pieces flood us belongs to them. */
function firstPieces(groups: Groups): void {
  if (!groups.has("fragment")) return;
  for (const kind of ["udp", "service_answer"] as const)
    move(groups, kind, "fragment", (sample) => sample.moreFragments);
}

/** Samples of one source from which it counts as heavy, if it also sends this many times what the others do. */
const HEAVY = { samples: 8, times: 4 };

/**
 * The few who send much and the many who send little, where both make up a good part: a flood beside a session of the same kind
 * must not be taken for an average of both.
 */
export function split(samples: readonly Sample[]): (readonly Sample[])[] {
  const bySource = new Map<Address, number>();
  for (const { source } of samples) bySource.set(source, (bySource.get(source) ?? 0) + 1);
  const counts = [...bySource.values()];
  const small = counts.filter((count) => count < HEAVY.samples);
  const usual = small.reduce((sum, count) => sum + count, 0) / Math.max(1, small.length);
  const bound = Math.max(HEAVY.samples, usual * HEAVY.times);
  const heavy = samples.filter(({ source }) => bySource.get(source)! >= bound);
  const light = samples.length - heavy.length;
  if (heavy.length < samples.length * 0.1 || light < Math.max(8, samples.length * 0.1)) return [samples];
  return [heavy, samples.filter(({ source }) => bySource.get(source)! < bound)];
}
