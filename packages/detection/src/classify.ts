import { type TrafficVerdict, VECTORS, type Vector } from "@flowtriq/protocol/vector";
import type { Sample, Summary } from "./features.ts";
import { type Kind, vectorOfAnswer } from "./kinds.ts";
import { type Picture, pictureOf } from "./picture.ts";
import { type Evidence, signatures } from "./signatures.ts";

export interface Classification {
  /** The attack, or null for legitimate traffic (a reconnect storm is that too). */
  vector: Vector | null;
  verdict: TrafficVerdict | null;
  /** Probability that `verdict` is right. How it is calibrated: see `calibrate`. */
  confidence: number;
  /** Reasons in plain sentences, the weightiest first. */
  evidence: string[];
  runnerUp?: { vector: Vector; confidence: number };
}

interface Candidate {
  vector: Vector;
  picture: Picture;
  evidence: Evidence[];
  /** Log-odds that these packets are an attack of this vector. */
  score: number;
}

/** Two kinds of attack are a multi-vector one when the smaller has at least this share of the attack's packets. */
const SECOND_SHARE = 0.2;
const NO_SAMPLES: Classification = { vector: null, verdict: null, confidence: 0.5, evidence: ["no samples"] };

/** What the sampled traffic is. */
export function classify(summary: Summary): Classification {
  if (summary.samples === 0) return NO_SAMPLES;
  const candidates = weighAll(summary);
  const attacks = candidates.filter(({ score }) => score > 0).sort((a, b) => mass(b) - mass(a));
  const storm = reconnectStorm(summary, candidates);
  const main = attacks[0];
  if (storm && (!main || STORM_KINDS.has(main.picture.samples[0]!.kind))) return storm;
  if (!main) return legitimate(summary, candidates);
  const total = attacks.reduce((sum, { picture }) => sum + picture.packets, 0);
  const second = attacks[1];
  if (second && second.picture.packets >= total * SECOND_SHARE) {
    const flags = attacks.filter(({ vector, picture }) => TCP_FLOODS.has(vector) && picture.packets >= total * 0.12);
    const tcp = flags.reduce((sum, { picture }) => sum + picture.packets, 0);
    // One tool that rolls its flags, rather than several attacks.
    const mixed = flags.length >= 3 && tcp >= total * (1 - SECOND_SHARE);
    return verdictOf(mixed ? "tcp_flood" : "multi_vector", [main, second], total);
  }
  return verdictOf(main.vector, second ? [main, second] : [main], total);
}

const TCP_FLOODS: ReadonlySet<Vector> = new Set([
  "syn_flood",
  "syn_ack_reflection",
  "ack_flood",
  "rst_flood",
  "tcp_flood",
]);
const mass = ({ picture, score }: Candidate) => picture.packets / (1 + Math.exp(-score));

function weighAll(summary: Summary): Candidate[] {
  const groups = grouped(summary);
  const best = new Map<string, Candidate>();
  for (const vector of VECTORS) {
    const { kinds, weigh } = signatures[vector];
    const present = kinds.filter((kind) => groups.has(kind));
    if (present.length === 0) continue;
    // Two signatures may claim the same packets: the likelier keeps them.
    const key = present[0]!;
    const samples =
      present.length === 1 ? groups.get(key)!.samples : present.flatMap((kind) => groups.get(kind)!.samples);
    const picture = pictureOf(summary, present, samples);
    picture.packets = present.reduce((sum, kind) => sum + groups.get(kind)!.packets, 0);
    const evidence = weigh(picture, summary);
    const score = evidence.reduce((sum, { weight }) => sum + weight, 0);
    const rival = best.get(key);
    if (!rival || score > rival.score) best.set(key, { vector, picture, evidence, score });
  }
  return [...best.values()];
}

type Group = { samples: Sample[]; packets: number };

/** Samples by kind, with the packets that only accompany an attack counted to it. */
function grouped(summary: Summary): Map<Kind, Group> {
  const groups = new Map<Kind, Group>();
  for (const sample of summary.kept) {
    const group = groups.get(sample.kind);
    if (group) group.samples.push(sample);
    else groups.set(sample.kind, { samples: [sample], packets: summary.total(sample.kind) });
  }
  unknownService(groups);
  const fragments = groups.get("fragment");
  if (fragments) {
    // The later pieces of long answers: their first piece names the service, they do not.
    const owner = [...groups].filter(([kind]) => vectorOfAnswer[kind]).sort(([, a], [, b]) => b.packets - a.packets)[0];
    if (owner && belongTo(fragments, owner[1])) {
      owner[1].packets += fragments.packets;
      groups.delete("fragment");
    }
  }
  absorb(groups, "rst", "synack");
  return groups;
}

/** Fragments are an answer's when they come from its senders, or when its datagrams arrive in pieces. */
function belongTo(fragments: Group, answers: Group): boolean {
  const senders = new Set(answers.samples.map(({ source }) => source));
  const shared = fragments.samples.filter(({ source }) => senders.has(source)).length;
  const split = answers.samples.filter(({ moreFragments }) => moreFragments).length;
  return shared >= fragments.samples.length * 0.5 || (split >= 3 && split >= answers.samples.length * 0.2);
}

/** Closed ports of reflectors answer the same forged SYNs with RST. */
function absorb(groups: Map<Kind, Group>, small: Kind, large: Kind): void {
  const from = groups.get(small);
  const to = groups.get(large);
  if (!from || !to || from.packets >= to.packets) return;
  to.packets += from.packets;
  groups.delete(small);
}

/** Many senders with one source port that is nobody's own: a service that is not in any list of reflectors. */
function unknownService(groups: Map<Kind, Group>): void {
  const udp = groups.get("udp");
  if (!udp || udp.samples.length < 20) return;
  const byPort = new Map<number, Sample[]>();
  for (const sample of udp.samples) byPort.set(sample.sourcePort, [...(byPort.get(sample.sourcePort) ?? []), sample]);
  const [port, samples] = [...byPort].sort(([, a], [, b]) => b.length - a.length)[0]!;
  const sources = new Set(samples.map(({ source }) => source)).size;
  const lengths = new Set(samples.map(({ wireLength }) => wireLength)).size;
  const toItself = samples.filter(({ destinationPort }) => destinationPort === port).length;
  const enough = samples.length >= udp.samples.length * 0.6 && sources >= 8 && port < 49_152;
  if (!enough || lengths < 3 || toItself > samples.length / 2) return;
  const packets = Math.round((udp.packets * samples.length) / udp.samples.length);
  const service = groups.get("service_answer") ?? { samples: [], packets: 0 };
  groups.set("service_answer", { samples: [...service.samples, ...samples], packets: service.packets + packets });
  const rest = udp.samples.filter(({ sourcePort }) => sourcePort !== port);
  if (rest.length > 0) groups.set("udp", { samples: rest, packets: udp.packets - packets });
  else groups.delete("udp");
}

const STORM_KINDS: ReadonlySet<Kind> = new Set(["wireguard_handshake", "openvpn_handshake", "ike_handshake"]);
const STORM_CLIENTS = 20;

/** A crowd of genuine clients coming back at once: their handshakes are valid, or lead to sessions. */
function reconnectStorm(summary: Summary, candidates: Candidate[]): Classification | undefined {
  const opened = [...STORM_KINDS].reduce((sum, kind) => sum + (summary.genuine.get(kind) ?? 0), 0);
  const open = candidates.find(({ picture }) => STORM_KINDS.has(picture.samples[0]!.kind));
  const failed = open?.picture.packets ?? 0;
  const valid = open && open.picture.mac1Checked >= 10 && open.picture.mac1Valid === open.picture.mac1Checked;
  if (opened >= STORM_CLIENTS && opened >= failed && summary.distinctSources >= STORM_CLIENTS) {
    return storm(opened / (opened + failed), [`${opened} handshakes led to sessions, ${failed} did not`]);
  }
  if (!valid || open.score > 0 || open.picture.sources < STORM_CLIENTS) return undefined;
  return storm(calibrate(-open.score, 0), [
    `all ${open.picture.mac1Checked} checked handshakes carry a valid mac1`,
    `${open.picture.sources} sources with the spread of real clients`,
  ]);
}

const storm = (confidence: number, evidence: string[]): Classification => ({
  vector: null,
  verdict: "reconnect_storm",
  confidence: Math.min(0.99, confidence),
  evidence,
});

function legitimate(summary: Summary, candidates: Candidate[]): Classification {
  const closest = candidates.sort((a, b) => b.score - a.score)[0];
  const explained = `${Math.round((summary.explained / summary.samples) * 100)} % of ${summary.samples} packets were asked for, or come from peers that we answer`;
  if (!closest) return { vector: null, verdict: null, confidence: 0.99, evidence: [explained] };
  const confidence = calibrate(-closest.score, 0);
  return {
    vector: null,
    verdict: null,
    confidence,
    evidence: [explained, ...words(closest.evidence, -1)],
    runnerUp: { vector: closest.vector, confidence: 1 - confidence },
  };
}

function verdictOf(vector: Vector, [main, second]: Candidate[], total: number): Classification {
  const multi = vector === "multi_vector" && second;
  const score = multi ? Math.min(main!.score, second.score) : main!.score;
  // How far the shares are from the line between one vector and two.
  const doubt = second ? Math.abs(second.picture.packets / total - SECOND_SHARE) : SECOND_SHARE;
  const confidence = calibrate(score, (SECOND_SHARE - Math.min(doubt, SECOND_SHARE)) / SECOND_SHARE);
  const share = (candidate: Candidate) => Math.round((candidate.picture.packets / total) * 100);
  return {
    vector,
    verdict: vector,
    confidence,
    evidence: multi
      ? [
          `two attacks at once: ${main!.vector} (${share(main!)} % of the attack's packets) and ${second.vector} (${share(second)} %)`,
          ...words(main!.evidence, 1).slice(0, 3),
          ...words(second.evidence, 1).slice(0, 3),
        ]
      : words(main!.evidence, 1),
    ...(second && !multi && { runnerUp: { vector: second.vector, confidence: 1 - confidence } }),
  };
}

/** The reasons that have words, those that point in the verdict's direction first, the weightiest first. */
function words(evidence: Evidence[], direction: 1 | -1): string[] {
  return evidence
    .filter((reason): reason is Evidence & { text: string } => reason.text !== undefined)
    .sort((a, b) => b.weight * direction - a.weight * direction)
    .slice(0, 8)
    .map(({ text }) => text);
}

/** Fitted by the calibration bench on generated traffic of the training half. */
const CALIBRATION = { bias: 0.6, score: 0.6, doubt: -1.5 };

/** Probability that a verdict with this score is right. */
function calibrate(score: number, doubt: number): number {
  const logit = CALIBRATION.bias + CALIBRATION.score * score + CALIBRATION.doubt * doubt;
  return Math.round(Math.min(0.995, Math.max(0.05, 1 / (1 + Math.exp(-logit)))) * 1000) / 1000;
}
