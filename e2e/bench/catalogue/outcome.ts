import type { Family } from "@flowtriq/lab/namespaces";
import type { ProbeResult } from "@flowtriq/lab/probe";
import { one } from "../figures.ts";
import { PROTOCOLS, type Protocol } from "../tunnels.ts";

/** Attack packets that came to the host, and those of them that no rule dropped. */
export interface Counts {
  arrived: number;
  passed: number;
}

export interface Lost {
  sent: number;
  lost: number;
}

export interface PingOutcome {
  during: Lost;
  after: Lost;
  /** Tunnels through which no ping of the last moments was answered. */
  down: number;
}

/** What one attack did. */
export interface Outcome {
  name: string;
  family: Family;
  against: Protocol | undefined;
  /** As many packets a second as the benchmark was told, not a trickle. */
  isFlood: boolean;
  pps: number;
  firstDropMs: number | undefined;
  all: Counts;
  /** Since the agent said that its rules stand; undefined: it never did. */
  standing: Counts | undefined;
  vectors: string[];
  pings: Record<Protocol, PingOutcome>;
}

const lostOf = (samples: ProbeResult["samples"]): Lost => ({
  sent: samples.length,
  lost: samples.filter(({ rttMs }) => rttMs === null).length,
});

/** Times are milliseconds since the epoch: of the attack's first and last packet, and since when a tunnel must have answered. */
export function judgePings(
  results: ProbeResult[],
  times: { from: number; to: number; aliveFrom: number },
): PingOutcome {
  const samples = results.flatMap((result) => result.samples);
  const answers = ({ samples }: ProbeResult) =>
    samples.some(({ at, rttMs }) => at >= times.aliveFrom && rttMs !== null);
  return {
    during: lostOf(samples.filter(({ at }) => at >= times.from && at < times.to)),
    after: lostOf(samples.filter(({ at }) => at >= times.to)),
    down: results.filter((result) => !answers(result)).length,
  };
}

const percent = (share: number) => (Number.isNaN(share) ? "-" : `${(100 * share).toFixed(share > 0.99 ? 3 : 2)} %`);
const dropped = ({ arrived, passed }: Counts) => (arrived - passed) / arrived;
const fraction = ({ sent, lost }: Lost) => `${lost}/${sent}`;

export const HEADER = [
  "attack".padEnd(54),
  "v    sent/s  first drop    dropped  passed before  dropped then ",
  "called".padEnd(30),
  ...PROTOCOLS.map((protocol) => `lost ${protocol}`.padEnd(15)),
].join(" ");

export function row({ name, family, pps, firstDropMs, all, standing, vectors, pings }: Outcome): string {
  const pinged = PROTOCOLS.map((protocol) => {
    const { during, after, down } = pings[protocol];
    const later = after.lost > 0 ? ` +${after.lost}` : "";
    return `${fraction(during)}${later}${down > 0 ? ` ${down} DOWN` : ""}`.padEnd(15);
  });
  return [
    name.padEnd(54),
    `${family}`,
    `${Math.round(pps)}`.padStart(9),
    (firstDropMs === undefined ? "never" : `${firstDropMs.toFixed(1)} ms`).padStart(11),
    percent(dropped(all)).padStart(10),
    `${standing ? all.passed - standing.passed : all.passed}`.padStart(14),
    (standing ? percent(dropped(standing)) : "no rules").padStart(13),
    "",
    (vectors.join(" > ") || "no attack").padEnd(30),
    ...pinged,
  ].join(" ");
}

/** The worst for each protocol, beside the bars. */
export function summary(outcomes: Outcome[]): string[] {
  const shareLost = (protocol: Protocol) => (outcome: Outcome) => {
    const { sent, lost } = outcome.pings[protocol].during;
    return sent > 0 ? lost / sent : 0;
  };
  const told = (outcome: Outcome) => `${outcome.name.trim()}, IPv${outcome.family}`;
  const tunnels = PROTOCOLS.flatMap((protocol) => {
    const sum = (of: (pings: PingOutcome) => number) =>
      outcomes.reduce((total, { pings }) => total + of(pings[protocol]), 0);
    const [sent, lost] = [sum(({ during }) => during.sent), sum(({ during }) => during.lost)];
    const worst = most(outcomes, shareLost(protocol));
    const where = lost > 0 && worst ? `; worst ${fraction(worst.pings[protocol].during)}: ${told(worst)}` : "";
    return [
      one(`${protocol}: pings lost during attacks`, `${lost} of ${sent} (${percent(lost / sent)})${where}`, "<= 0.1 %"),
      one(
        `${protocol}: pings lost after attacks`,
        fraction({ sent: sum(({ after }) => after.sent), lost: sum(({ after }) => after.lost) }),
        "<= 0.1 %",
      ),
      one(`${protocol}: tunnels lost`, `${sum(({ down }) => down)} in ${outcomes.length} attacks`, "0"),
    ];
  });
  const drops = [true, false].flatMap((isFlood) =>
    [...PROTOCOLS, undefined].flatMap((protocol) => {
      const some = outcomes.filter((outcome) => outcome.against === protocol && outcome.isFlood === isFlood);
      if (some.length === 0) return [];
      const name = `${protocol ?? "others"}, ${isFlood ? "floods" : "trickles"}`;
      return [
        leastDropped(`${name}: dropped of all, least`, some, ({ all }) => all),
        leastDropped(`${name}: dropped once rules stood, least`, some, ({ standing }) => standing),
      ];
    }),
  );
  return [...tunnels, ...drops];

  function leastDropped(name: string, some: Outcome[], counts: (outcome: Outcome) => Counts | undefined): string {
    const share = (outcome: Outcome) => {
      const of = counts(outcome);
      return of && of.arrived > 0 ? dropped(of) : Number.NaN;
    };
    const known = some.filter((outcome) => !Number.isNaN(share(outcome)));
    const least = most(known, (outcome) => -share(outcome));
    const without = some.length - known.length;
    const never = without > 0 ? `; in ${without} of ${some.length} no rules` : "";
    return one(name, least ? `${percent(share(least))}: ${told(least)}${never}` : `no rules${never}`, ">= 99.9 %");
  }
}

const most = (outcomes: Outcome[], of: (outcome: Outcome) => number): Outcome | undefined =>
  outcomes.reduce<Outcome | undefined>((worst, next) => (worst && of(worst) >= of(next) ? worst : next), undefined);
