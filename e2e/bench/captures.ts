/**
 * `npm run bench -- captures`: every capture of the corpus (CORPORA_DIR) and the recordings of ordinary traffic through the kernel's
 * rules. Legitimate ones: at the agent that enforces, at their own pace and ten times as fast, then with every lane armed. Attacks: what
 * the agent drops by itself. Exits with 1 if a legitimate packet is dropped while enforcing, or a known peer's at all,
 * unless it is an exact copy of one before.
 */
import { LearnedState, laneOf } from "@flowtriq/detection/lanes";
import type { Packet } from "@flowtriq/detection/packet";
import { MAX_PLAYED } from "@flowtriq/lab/play";
import {
  attacksIn,
  copiesIn,
  corpus,
  fixtures,
  fromKnownPeers,
  type Outcome,
  type Source,
  Stage,
} from "../agent/scenes.ts";
import { atOnce, needRoot } from "./program.ts";

const OWN_PACE = { gapMs: 5_000, longestMs: 20_000 };
const FAST = { ...OWN_PACE, speed: 10 };
const STAGES = Number(process.env.STAGES ?? 6);
/** Bursts shorter than this are played again and again, so that more than the agent's first milliseconds are measured. */
const SUSTAINED_MS = 2_000;

/** What of a capture is the attack; the rest of it is ordinary. Default: all that arrives. */
const ATTACK: [RegExp, (packet: Packet) => boolean][] = [
  [/^tcp-synack/, ({ protocol }) => protocol === 6],
  [/^tcp-syn-/, ({ protocol }) => protocol === 6],
  [
    /^amp-dns/,
    ({ protocol, sourcePort, destinationPort, fragmentOffset }) =>
      fragmentOffset > 0 || (protocol === 17 && sourcePort === 53 && destinationPort === 22),
  ],
  [/^amp-ssdp/, ({ protocol, destinationPort }) => protocol === 17 && destinationPort === 80],
  [/^ipv6-ah/, ({ protocol }) => protocol === 51],
];

needRoot();
const legitimate = await atOnce(STAGES, [...corpus("legit"), ...fixtures(/^(legitimate\.|reconnect_storm)/)], passes);
// One after the other: how soon the agent reacts is measured here.
const attacks = await atOnce(1, corpus("attacks"), attacked);
const enforcing = legitimate.reduce((sum, { lost }) => sum + lost, 0);
const known = legitimate.reduce((sum, { known }) => sum + known, 0);
const reported = legitimate.reduce((sum, { reported }) => sum + reported, 0);
console.log(
  `\nLegitimate captures: ${legitimate.length}; ${legitimate.reduce((sum, { packets }) => sum + packets, 0)} packets`,
);
console.log(`  dropped while enforcing (own pace and ten times as fast): ${enforcing}   bar: 0`);
console.log(`  attacks reported: ${reported}   bar: 0`);
console.log(`  of known peers dropped with every lane armed: ${known}   bar: 0`);
console.log("\nWhat every lane armed at once drops of strangers:");
for (const { name, armed } of legitimate) if (armed !== "") console.log(`  ${name}: ${armed}`);
console.log(
  "\nAttacks, dropped by the agent alone (of what the capture's attack sends; first drop by number of the packet):",
);
for (const row of attacks) console.log(`  ${row}`);
process.exit(enforcing + known + reported > 0 ? 1 : 0);

async function passes(source: Source) {
  const stage = await Stage.set();
  try {
    let [lost, reported, packets] = [0, 0, 0];
    for (const pace of [OWN_PACE, FAST]) {
      const outcome = await stage.enforced(source, pace);
      packets = outcome.report.sent.in;
      lost += outcome.dropped.length;
      reported += attacksIn(outcome.events).length;
    }
    const armed = await stage.armed(source, OWN_PACE);
    const known = fromKnownPeers(armed.played);
    const copies = copiesIn(armed.played);
    process.stdout.write(".");
    return {
      ...{ name: source.name, packets, lost, reported, armed: inWords(armed, source) },
      known: armed.dropped.filter((number) => known.has(number) && !copies.has(number)).length,
    };
  } finally {
    await stage.strike();
  }
}

/** Drops by lane, and to which kind of destination, since announcements on the link are nobody's session. */
function inWords({ played, dropped, report }: Outcome, { ports }: Source): string {
  const learned = new LearnedState(ports);
  const lost = new Set(dropped);
  const counts = new Map<string, number>();
  for (const [number, { at, way, packet }] of played.entries()) {
    learned.advance(at);
    if (way === "out") learned.learn(packet, at);
    const lane = way === "in" ? laneOf(packet, { ports, learned }) : undefined;
    if (!lost.has(number)) continue;
    const what = `${lane}${isGroup(packet) ? " to a group" : ""}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const list = [...counts].map(([what, count]) => `${what} ${count}`);
  return list.length > 0 ? `${dropped.length} of ${report.sent.in} (${list.join(", ")})` : "";
}

function isGroup({ destination }: Packet): boolean {
  return typeof destination === "number" ? destination >>> 28 === 0xe : destination.charCodeAt(0) >> 8 === 0xff;
}

async function attacked(source: Source): Promise<string> {
  const stage = await Stage.set();
  try {
    await stage.give(source);
    const once = await stage.enforced(source, OWN_PACE);
    const lasts = once.played.at(-1)?.at ?? 0;
    const rounds = Math.min(Math.ceil(SUSTAINED_MS / Math.max(lasts, 1)), Math.floor(MAX_PLAYED / once.played.length));
    const again = rounds > 1 ? await stage.enforced(source, OWN_PACE, rounds) : undefined;
    return [
      source.name.padEnd(44),
      tell(once, source, "once"),
      ...(again ? [`\n  ${"".padEnd(44)}`, tell(again, source, `${rounds} times`)] : []),
    ].join(" ");
  } finally {
    await stage.strike();
  }
}

function tell({ played, dropped, verdicts, events, byLane }: Outcome, { name }: Source, how: string): string {
  const isAttack = ATTACK.find(([pattern]) => pattern.test(name))?.[1] ?? (() => true);
  const arriving = played.flatMap(({ way, packet }, number) => (way === "in" ? [{ number, packet }] : []));
  const attack = arriving.filter(({ packet }) => isAttack(packet));
  const others = arriving.filter(({ packet }) => !isAttack(packet));
  const lost = (list: typeof arriving) => list.filter(({ number }) => !verdicts.passed.has(number)).length;
  const first = dropped[0];
  const later = attack.filter(({ number }) => number >= (first ?? 0));
  const share = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
  const vectors = [...new Set(attacksIn(events).map(({ vector }) => vector))].join(", ") || "none reported";
  const when =
    first === undefined
      ? "nothing dropped"
      : `first drop #${first} (${played[first]!.at.toFixed(0)} ms), after it ${share(lost(later), later.length)}`;
  const lanes = [...byLane].map(([lane, count]) => `${lane} ${count}`).join(", ");
  return (
    `${how}: ${share(lost(attack), attack.length)} of ${attack.length}; ${when}; others lost ${lost(others)} of ${others.length}; ` +
    `${vectors}; ${lanes}`
  );
}
