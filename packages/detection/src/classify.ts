import { type TrafficVerdict, VECTORS, type Vector } from "@flowtriq/protocol/vector";
import { weighContradictions } from "./contradictions.ts";
import { type Evidence, isUnfinished } from "./evidence.ts";
import type { Summary } from "./features.ts";
import { grouped, packetsOf, split } from "./groups.ts";
import type { Kind } from "./kinds.ts";
import { type Picture, pictureOf } from "./picture.ts";
import { signatures } from "./signatures.ts";

export interface Classification {
  /** The attack, or null for legitimate traffic (a reconnect storm is that too). */
  vector: Vector | null;
  verdict: TrafficVerdict | null;
  /** Probability that `verdict` is right. How it is calibrated: see `calibrate`. */
  confidence: number;
  /** Reasons in plain sentences, the weightiest first. */
  evidence: string[];
  runnerUp?: { vector: Vector; confidence: number };
  /** What `confidence` was computed from: see `calibrate`. */
  margin: Margin;
}

/** Log-odds of the verdict, and how close the shares are to the line between one vector and two (0 to 1). */
export type Margin = { legitimate: boolean; score: number; doubt: number };

interface Candidate {
  vector: Vector;
  picture: Picture;
  evidence: Evidence[];
  /** Log-odds that these packets are an attack of this vector. */
  score: number;
}

/** Two kinds of attack are a multi-vector one when the smaller has at least this share of the attack's packets. */
const SECOND_SHARE = 0.2;
/** And it must be likelier than two to one by itself: ordinary traffic beside an attack often looks a little like one. */
const SECOND_SCORE = 0.7;
const CERTAIN = 8;
const sure = (score: number): Margin => ({ legitimate: true, score, doubt: 0 });

/** What the sampled traffic is. */
export function classify(summary: Summary): Classification {
  if (summary.samples === 0) {
    return { vector: null, verdict: null, confidence: 0.5, evidence: ["no samples"], margin: sure(0) };
  }
  const candidates = weighAll(summary);
  const attacks = candidates.filter(({ score }) => score > 0).sort((a, b) => mass(b) - mass(a));
  const storm = reconnectStorm(summary, candidates);
  const main = attacks[0];
  if (storm && (!main || STORM_KINDS.has(main.picture.samples[0]!.kind))) return storm;
  if (!main) return legitimate(summary, candidates);
  const total = attacks.reduce((sum, { picture }) => sum + picture.packets, 0);
  // Few openings of one server beside many of another's port are one tool's, not two attacks.
  const second = attacks.find((other) => other.score >= SECOND_SCORE && !isSameTool(main, other));
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
const OPENINGS: ReadonlySet<Vector> = new Set([
  "wireguard_handshake_flood",
  "openvpn_handshake_flood",
  "ike_handshake_flood",
  "handshake_starvation",
]);
/** A flood of openings seldom keeps to one rate: where it is slow it looks like starvation. */
const isSameTool = (one: Candidate, other: Candidate) =>
  one.vector === other.vector ||
  (OPENINGS.has(one.vector) &&
    OPENINGS.has(other.vector) &&
    (one.vector === "handshake_starvation" || other.vector === "handshake_starvation"));
const mass = ({ picture, score }: Candidate) => picture.packets / (1 + Math.exp(-score));

function weighAll(summary: Summary): Candidate[] {
  const groups = grouped(summary);
  const all = packetsOf(summary.kept);
  const best = new Map<string, Candidate>();
  for (const vector of VECTORS) {
    const { kinds, weigh } = signatures[vector];
    const present = kinds.filter((kind) => groups.has(kind));
    if (present.length === 0) continue;
    // Two signatures may claim the same packets: the likelier keeps them.
    const key = present[0]!;
    const samples =
      present.length === 1 ? groups.get(key)!.samples : present.flatMap((kind) => groups.get(kind)!.samples);
    const packets = present.reduce((sum, kind) => sum + groups.get(kind)!.packets, 0);
    const parts = split(samples).map((part) => {
      const shown = { packets: (packets * packetsOf(part)) / packetsOf(samples), all };
      const picture = pictureOf(summary, part, shown);
      const evidence = weigh(picture, summary);
      return { vector, picture, evidence, score: evidence.reduce((sum, { weight }) => sum + weight, 0) };
    });
    const found = ownedPieces(summary, parts.sort((a, b) => b.score - a.score)[0]!);
    const rival = best.get(key);
    if (!rival || found.score > rival.score) best.set(key, found);
  }
  return [...best.values(), ...contradicted(summary)];
}

/** Packets of proved sessions are nobody's attack, but for those that their sessions cannot have sent. */
function contradicted(summary: Summary): Candidate[] {
  const found = summary.sequences.contradictions;
  if (!found) return [];
  const { vector, samples, share, of } = found;
  const evidence = weighContradictions(found);
  // What was sampled of sessions stands for as much as these samples of it do.
  const packets = (packetsOf(samples) * share * of) / samples.length;
  const picture = pictureOf(summary, samples, { packets, all: packets + packetsOf(summary.kept) });
  return [{ vector, picture, evidence, score: evidence.reduce((sum, { weight }) => sum + weight, 0) }];
}

/** Later pieces of answers that began elsewhere are of that reflection. */
function ownedPieces({ context }: Summary, found: Candidate): Candidate {
  const { samples } = found.picture;
  if (found.vector !== "udp_fragment_flood" || !context.pieces) return found;
  const sources = new Set(samples.map(({ source }) => source));
  const owner = context.pieces.ownerOf(sources, samples.at(-1)!.at);
  if (!owner) return found;
  const text = `${owner.known} of ${sources.size} senders also began answers, of ${owner.vector}`;
  const evidence = [...found.evidence, { weight: OWNED, text }];
  return { ...found, vector: owner.vector, evidence, score: found.score + OWNED };
}
const OWNED = 2;

const STORM_KINDS: ReadonlySet<Kind> = new Set(["wireguard_handshake", "openvpn_handshake", "ike_handshake"]);
const STORM_CLIENTS = 20;

/** A crowd of genuine clients coming back at once: their handshakes are valid, or lead to sessions. */
function reconnectStorm(summary: Summary, candidates: Candidate[]): Classification | undefined {
  const opened = [...STORM_KINDS].reduce((sum, kind) => sum + (summary.genuine.get(kind) ?? 0), 0);
  const open = candidates.find(({ picture }) => STORM_KINDS.has(picture.samples[0]!.kind));
  const failed = open?.picture.packets ?? 0;
  if (isUnfinished(summary)) return undefined;
  const { comeback } = summary.course ?? {};
  if (open && comeback !== undefined && !isForged(open.picture)) return storm(sure(CERTAIN / 2), [comeback]);
  const valid = open && open.picture.mac1Checked >= 10 && open.picture.mac1Valid === open.picture.mac1Checked;
  if (opened >= STORM_CLIENTS && opened >= failed && summary.distinctSources >= STORM_CLIENTS) {
    return storm(sure((CERTAIN * (opened - failed)) / opened), [
      `${opened} handshakes led to sessions, ${failed} did not`,
    ]);
  }
  if (!valid || open.score > 0 || open.picture.sources < STORM_CLIENTS) return undefined;
  return storm(sure(-open.score), [
    `all ${open.picture.mac1Checked} checked handshakes carry a valid mac1`,
    `${open.picture.sources} sources with the spread of real clients`,
  ]);
}

/** Nobody who knows the server sends a false mac1. */
const isForged = ({ mac1Checked, mac1Valid }: Picture) => mac1Checked >= 5 && mac1Valid < mac1Checked * 0.7;

const storm = (margin: Margin, evidence: string[]): Classification => ({
  vector: null,
  verdict: "reconnect_storm",
  confidence: calibrate(margin),
  evidence,
  margin,
});

function legitimate(summary: Summary, candidates: Candidate[]): Classification {
  const closest = candidates.sort((a, b) => b.score - a.score)[0];
  const explained = `${Math.round((summary.explained / summary.samples) * 100)} % of ${summary.samples} packets were asked for, or come from peers that we answer`;
  const margin = sure(closest ? -closest.score : CERTAIN);
  const confidence = calibrate(margin);
  if (!closest) return { vector: null, verdict: null, confidence, evidence: [explained], margin };
  return {
    vector: null,
    verdict: null,
    confidence,
    evidence: [explained, ...words(closest.evidence, -1)],
    runnerUp: { vector: closest.vector, confidence: 1 - confidence },
    margin,
  };
}

function verdictOf(vector: Vector, [main, second]: Candidate[], total: number): Classification {
  const multi = vector === "multi_vector" && second;
  const score = multi ? Math.min(main!.score, second.score) : main!.score;
  // How far the shares are from the line between one vector and two.
  const distance = second ? Math.abs(second.picture.packets / total - SECOND_SHARE) : SECOND_SHARE;
  const margin = { legitimate: false, score, doubt: 1 - Math.min(distance, SECOND_SHARE) / SECOND_SHARE };
  const confidence = calibrate(margin);
  const share = (candidate: Candidate) => Math.round((candidate.picture.packets / total) * 100);
  return {
    vector,
    verdict: vector,
    confidence,
    margin,
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

/**
 * A logistic of the margin, fitted by test/calibrate.ts on 2,500 generated cases of the training half of the parameters; the
 * held-out half measures the error of what it promises.
 */
const CALIBRATION = { attack: 1.3, legitimate: 0.7, score: 1.35, doubt: -2.6 };

/** Probability that a verdict with this margin is right. */
function calibrate({ legitimate, score, doubt }: Margin): number {
  const bias = legitimate ? CALIBRATION.legitimate : CALIBRATION.attack;
  const logit = bias + CALIBRATION.score * Math.min(score, CERTAIN) + CALIBRATION.doubt * doubt;
  return Math.round(Math.min(0.99, Math.max(0.05, 1 / (1 + Math.exp(-logit)))) * 1000) / 1000;
}
