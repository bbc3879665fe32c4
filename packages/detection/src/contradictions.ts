import type { Vector } from "@flowtriq/protocol/vector";
import { type Evidence, first, many, percent } from "./evidence.ts";
import type { Sample } from "./features.ts";
import { endpoint } from "./lanes.ts";
import type { Numbered } from "./sequences.ts";

/** Why a packet cannot be what its session sent. In the order in which they are asked. */
const REASONS = ["beyond", "elsewhere", "repeated", "standing", "again", "astray"] as const;
type Reason = (typeof REASONS)[number];

/** Packets that contradict the sessions that they claim. */
export interface Contradictions {
  vector: Vector;
  /** Their share of all that was sampled of sessions, and the samples themselves. */
  share: number;
  samples: readonly Sample[];
  /** All packets of sessions that were sampled. */
  of: number;
  reasons: string[];
}

export interface Lane {
  samples: number;
  /** Of these, the share whose numbers can be read. */
  share: number;
  /** Packets with a number that came to the lane between two times, as its counter says. */
  between(from: number, to: number): number;
}

/** Fewer samples of one session show no order. */
const LEAST = 8;
/** A client that roams is at one or two places, one that spreads its packets over several lines at some more. */
const PLACES = { few: 4, many: 8, moving: 1 / 4 };
/** Networks that double packets do it at once: a later copy is a replay. */
const COPY_LATER = 16;
/** As far back as any receiver's window reaches; WireGuard's is the largest. Whatever is older is thrown away. */
const WINDOW = 8_192;
/** Ahead it may be by what was lost, or came before the agent looked: ten million packets a second, and a fifth of a second. */
const AHEAD = { perMs: 10_000, slackMs: 200 };
/** Who sent so many packets has counted so far, whatever was reordered; the factor is for sampling's errors. */
const STANDING = { packets: 2_000, factor: 4 };
/** A counter that leaps so far was not seen on its way. */
const LEAP = 65_536;
/** Sequences that are followed at a time. */
const MAX_RUNS = 32;
/** This many in sequence are no chance. */
const RUN = 3;
/** A client that is restarted may count from the beginning again, but it cannot be restarted so often while it is loud. */
const AGAIN = 3;

/** Samples in the order in which they came; undefined where nothing speaks against them. */
export function contradictionsIn(kept: readonly Numbered[], lane: Lane): Contradictions | undefined {
  const sessions = new Map<string, Numbered[]>();
  /** Packets of the lane that each sample stands for: those since the last one. */
  const stands = new Map<Numbered, number>();
  let before: Numbered | undefined;
  for (const numbered of kept) {
    const session = sessions.get(numbered.session);
    if (session) session.push(numbered);
    else sessions.set(numbered.session, [numbered]);
    stands.set(numbered, before ? lane.between(before.sample.at, numbered.sample.at) : 0);
    before = numbered;
  }
  const told: Told[] = [];
  for (const [name, session] of sessions) told.push(...judgeSession(name, session, stands));
  const samples = told.flatMap((one) => one.samples);
  const [main] = [...told].sort((a, b) => b.samples.length - a.samples.length);
  if (!main) return undefined;
  return {
    vector: main.samples[0]!.layout.vector,
    share: (samples.length / kept.length) * lane.share,
    samples: samples.map(({ sample }) => sample),
    of: lane.samples,
    reasons: REASONS.flatMap((reason) => inWords(reason, told, kept.length)),
  };
}

/** What was found of one session, for one reason; `figure` is what the words need. */
type Told = { name: string; reason: Reason; samples: Numbered[]; figure: number; packets?: number };

function judgeSession(name: string, session: readonly Numbered[], stands: ReadonlyMap<Numbered, number>): Told[] {
  const { certain, end } = session[0]!.layout;
  const told: Told[] = [];
  let rest = session;
  const tell = (reason: Reason, samples: Numbered[], figure = 0, packets?: number) => {
    if (samples.length === 0) return;
    told.push({ name, reason, samples, figure, packets });
    const taken = new Set(samples);
    rest = rest.filter((numbered) => !taken.has(numbered));
  };
  tell(
    "beyond",
    rest.filter(({ counter }) => counter >= end),
  );
  const { away, places } = elsewhere(rest);
  // The sender is part of the session where the number is not certain.
  if (certain) tell("elsewhere", away, places);
  tell("repeated", repeated(rest, certain));
  if (rest.length < LEAST || (!certain && isMisread(rest))) return told;
  const runs = runsOf(rest);
  for (const { samples, span } of runs.flatMap(partsOf)) {
    const packets = packetsOf(samples, stands);
    if (packets >= Math.max(STANDING.packets, span * STANDING.factor)) tell("standing", samples, span, packets);
  }
  const again = begunAgain(runs.filter(({ samples }) => samples.length >= RUN && rest.includes(samples[0]!)));
  const loops = again.flatMap(({ samples }) => samples);
  if (again.length >= AGAIN) tell("again", loops, again.length);
  const isOrdered = certain || runs.some(({ samples, high, low }) => samples.length >= LEAST && high > low);
  const astray = runs.filter(({ samples }) => samples.length < RUN).flatMap(({ samples }) => samples);
  if (isOrdered && astray.length >= Math.max(LEAST, session.length / 4)) tell("astray", astray);
  return told;
}

/** Samples from other places than the commonest, where there are more than a client can be at, and it does not just move on. */
function elsewhere(session: readonly Numbered[]): { away: Numbered[]; places: number } {
  const places = new Map<number | string, number>();
  const placeOf = ({ sample }: Numbered) => endpoint(sample.source, sample.sourcePort);
  for (const numbered of session) places.set(placeOf(numbered), (places.get(placeOf(numbered)) ?? 0) + 1);
  const moves = session.filter((numbered, n) => n > 0 && placeOf(numbered) !== placeOf(session[n - 1]!)).length;
  const most = Math.min(PLACES.many, Math.max(PLACES.few, session.length / 2));
  if (places.size < most || moves < session.length * PLACES.moving) return { away: [], places: places.size };
  const [home] = [...places].sort(([, a], [, b]) => b - a)[0]!;
  return { away: session.filter((numbered) => placeOf(numbered) !== home), places: places.size };
}

/** A number comes once; where it may be none, the content does. */
function repeated(session: readonly Numbered[], certain: boolean): Numbered[] {
  const groups = new Map<number, { first: number; isLater: boolean; samples: Numbered[] }>();
  session.forEach((numbered, order) => {
    const key = certain ? numbered.counter : numbered.sample.mark;
    const group = groups.get(key) ?? { first: order, isLater: false, samples: [] };
    groups.set(key, group);
    group.samples.push(numbered);
    group.isLater ||= order - group.first >= COPY_LATER;
  });
  return [...groups.values()].flatMap(({ isLater, samples }) => (isLater ? samples : []));
}

/** The same number on different contents: what was read is no number. */
function isMisread(session: readonly Numbered[]): boolean {
  const marks = new Map<number, number>();
  return session.some(({ counter, sample }) => {
    const known = marks.get(counter);
    marks.set(counter, sample.mark);
    return known !== undefined && known !== sample.mark;
  });
}

type Run = { samples: Numbered[]; low: number; high: number; at: number };

/**
 * Sorts a session's samples into sequences that one sender may have counted. A genuine session is one, and a second one after a
 * restart; replays are one that stands still or begins again and again; made-up numbers are nearly as many as there are samples.
 */
function runsOf(session: readonly Numbered[]): Run[] {
  const runs: Run[] = [];
  let followed: Run[] = [];
  for (const numbered of session) {
    const { at } = numbered.sample;
    let nearest: Run | undefined;
    let distance = Number.POSITIVE_INFINITY;
    for (const run of followed) {
      const step = numbered.counter - run.high;
      const ahead = AHEAD.perMs * (Math.max(0, at - run.at) + AHEAD.slackMs);
      if (step < -WINDOW || step > ahead || Math.abs(step) >= distance) continue;
      nearest = run;
      distance = Math.abs(step);
    }
    if (nearest) {
      nearest.samples.push(numbered);
      nearest.low = Math.min(nearest.low, numbered.counter);
      nearest.high = Math.max(nearest.high, numbered.counter);
      nearest.at = at;
      continue;
    }
    const run = { samples: [numbered], low: numbered.counter, high: numbered.counter, at };
    runs.push(run);
    followed.push(run);
    if (followed.length > MAX_RUNS) followed = without(followed, shortest(followed));
  }
  return runs;
}

/**
 * A run in pieces between which its counter leaps: a replay that the session's own packets follow, far ahead, stands still all the same.
 * Of a genuine session each piece counts as far as it has packets.
 */
function partsOf({ samples }: Run): { samples: Numbered[]; span: number }[] {
  const counters = samples.map(({ counter }) => counter).sort((a, b) => a - b);
  const starts = counters.filter((counter, n) => n === 0 || counter - counters[n - 1]! > LEAP);
  return starts.map((low, n) => {
    const end = starts[n + 1] ?? Number.POSITIVE_INFINITY;
    const part = samples.filter(({ counter }) => counter >= low && counter < end);
    const high = part.reduce((most, { counter }) => Math.max(most, counter), low);
    return { samples: part, span: high - low + 1 };
  });
}

/**
 * Packets that a run stands for. Where few samples stand for most of them, as after a pause of the samples, those count for no more than an
 * eighth of the sum: the effective sample size (Kish) is eight at least, and the sum a lower bound.
 */
function packetsOf(samples: readonly Numbered[], stands: ReadonlyMap<Numbered, number>): number {
  const parts = samples.slice(1).map((numbered) => stands.get(numbered)!);
  parts.sort((a, b) => b - a);
  let rest = parts.reduce((a, b) => a + b, 0);
  for (let clipped = 0; clipped < LEAST; clipped++) {
    const most = rest / (LEAST - clipped);
    const next = parts[clipped] ?? 0;
    if (next <= most) return most * LEAST;
    rest -= next;
  }
  return 0;
}

/** Those that count where one before them had counted that was over by then. */
const begunAgain = (runs: readonly Run[]) =>
  runs.filter((run, order) =>
    runs
      .slice(0, order)
      .some(({ low, high, at }) => low <= run.high && run.low <= high && at <= run.samples[0]!.sample.at),
  );

const without = (runs: readonly Run[], gone: Run) => runs.filter((run) => run !== gone);
const shortest = (runs: readonly Run[]) => runs.reduce((a, b) => (b.samples.length < a.samples.length ? b : a));

function inWords(reason: Reason, all: readonly Told[], kept: number): string[] {
  const told = all.filter((one) => one.reason === reason).sort((a, b) => b.samples.length - a.samples.length);
  const [main] = told;
  if (!main) return [];
  const share = percent(told.reduce((sum, { samples }) => sum + samples.length, 0) / kept);
  const others = told.length > 1 ? ` and ${many(told.length - 1, "other")}` : "";
  const texts: Record<Reason, string> = {
    beyond: `${share} carry a counter that no session reaches in its lifetime (${main.name}${others})`,
    elsewhere: `${share} come from elsewhere than their peer: ${main.name} at ${main.figure} places${others}`,
    repeated: `${share} repeat packets that came before (${main.name}${others})`,
    standing:
      `${share} are replays: ${Math.round(main.packets ?? 0)} packets of ${main.name}${others} came, ` +
      `and its counter moved by ${main.figure}`,
    again: `${share} are replays: the counter of ${main.name}${others} began again ${main.figure} times`,
    astray: `${share} carry a counter that goes on from none before (${main.name}${others})`,
  };
  return [texts[reason]];
}

/** Most of what comes must be false: what a peer sends itself is no attack, and rules would hold it back too. */
const MOST = 0.5;
const LEAST_FALSE = 16;

export function weighContradictions({ share, samples, of, reasons }: Contradictions): Evidence[] {
  return [
    { weight: 0, text: `${percent(share)} of ${many(of, "packet")} of known sessions contradict their order` },
    ...reasons.map((text) => ({ weight: 0, text })),
    ...first(samples.length < LEAST_FALSE && [-6], share >= 0.9 && [4], share >= 0.7 && [2.5], share >= MOST && [1], [
      -2 - 4 * (1 - share),
    ]),
  ];
}
