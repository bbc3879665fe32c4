import type { Summary } from "./features.ts";
import type { Kind } from "./kinds.ts";
import { portFor } from "./lanes.ts";
import type { Address } from "./packet.ts";
import type { Picture } from "./picture.ts";

/** A reason for or against, in log-odds, and in words for people. Without words it only weighs. */
export type Evidence = { weight: number; text?: string };

export const percent = (share: number) => `${Math.round(share * 100)} %`;
export const many = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
/** The first row that applies, or nothing. */
export const first = (...rows: (false | [weight: number, text?: string])[]): Evidence[] => {
  for (const row of rows) if (row) return [{ weight: row[0], text: row[1] }];
  return [];
};
export const when = (applies: boolean, weight: number, text?: string): Evidence[] =>
  applies ? [{ weight, text }] : [];

/** A rate trip of the kernel brought these samples: that alone makes an attack likelier. */
export const isLive = (summary: Summary) => summary.lanes.size > 0;
export const hasLane = (summary: Summary, end: string) => [...summary.lanes.keys()].some((lane) => lane.endsWith(end));

/**
 * Handshakes whose server could answer hardly any: genuine clients are answered, however many come back at once, unless it
 * is known why they are not.
 */
export function isUnfinished({ course }: Summary): boolean {
  if (course?.comeback !== undefined) return false;
  const { opened = 0, finished = 0 } = course?.handshakes ?? {};
  // A server that is busy with a crowd finishes few at first; ten times the threshold is no crowd that it could serve.
  return opened >= 100 && finished < opened * ((course?.times ?? 0) >= 10 ? 0.1 : 0.02);
}

/** So far above what is usual here that the rate speaks for itself. */
export const flagrant = ({ course }: Summary): Evidence[] =>
  course === undefined || course.times < 10
    ? []
    : [
        {
          weight: 2,
          text: `${Math.round(course.pps)} packets a second, ${Math.round(course.times)} times the threshold`,
        },
      ];

/** Far more packets came than were looked at: they may have more sources than are known. */
const isSampled = (p: Picture) => p.packets > p.samples.length * 1.5;
const senders = (p: Picture) => `${isSampled(p) ? "at least " : ""}${many(p.sources, "source")}`;

/** Floods come from many places or made-up ones; conversations from few. */
export function crowd(p: Picture, few: number): Evidence[] {
  const text = isSampled(p)
    ? `${many(p.packets, "packet")}, in ${p.samples.length} samples of them ${p.sources} sources`
    : `${many(p.packets, "packet")} from ${p.sources} sources, ${p.perSource.toFixed(1)} each`;
  return first(
    p.sources >= 20 && [2.2, text],
    p.sources >= 8 && [1.6, text],
    p.sources >= 4 && [0.4, text],
    p.sources === 3 && [few / 2],
    [few, `only ${many(p.sources, "source")}`],
  );
}

export function madeUp(p: Picture): Evidence[] {
  return [
    ...when(p.ttls3 < 0.5 && p.sources >= 20 && p.bogons < 0.02, -0.6),
    ...when(
      p.bogons >= 0.04 && p.bogons * p.sources >= 3,
      1.8,
      `${percent(p.bogons)} of the sources are addresses that cannot send`,
    ),
    ...when(
      p.ttls3 >= 0.9 && p.sources >= 20 && p.perSource < 3,
      0.8,
      `three TTLs cover ${percent(p.ttls3)} of the packets`,
    ),
  ];
}

/** Rates speak only where every packet was seen. */
export function rate(p: Picture, { fast, slow }: { fast: number; slow: number }): Evidence[] {
  if (p.peakPps === undefined) return [];
  const text = `${Math.round(p.peakPps)} packets in the busiest second`;
  return first(p.peakPps >= fast && [1.2, text], p.peakPps < slow && [-2.5, text], p.peakPps < slow * 5 && [-0.7]);
}

/** Few senders that try many doors rather than one. */
export const isScan = (p: Picture) => p.sources <= 3 && p.targets >= 5 && p.targets >= p.samples.length * 0.3;
const scan = (p: Picture): Evidence[] =>
  when(isScan(p), -5, `${many(p.sources, "source")} tried ${p.targets} addresses and ports: a scan`);

/** Hundreds a second with the same content: no protocol repeats itself so, and numbers in sequence forbid it. */
export const isRepeated = (p: Picture, summary: Summary, share = 0.9) =>
  p.topMark >= share && p.samples.length >= 32 && (isLive(summary) || (p.packets >= 200 && (p.peakPps ?? 0) >= 500));

/** A VPN server asks nobody from its own port, but other servers of its kind. */
const isAtVpn = (p: Picture, { context }: Summary) =>
  p.samples[0]?.kind !== "ike_answer" &&
  p.samples[0]?.kind !== "openvpn_answer" &&
  p.topDestinationPort >= 0.8 &&
  portFor(p.destinationPort, "udp", context.ports) !== undefined;

/** Answers that nobody asked for. `surely`: content that strangers hardly ever get for honest reasons. */
export function answers(surely: number, name: string) {
  return (p: Picture, summary: Summary): Evidence[] => {
    // The kernel has looked whom we asked; a capture may have begun later.
    const surelyUnasked = hasLane(summary, ":reflected") || isAtVpn(p, summary);
    const unasked = summary.context.twoWay === true || surelyUnasked;
    const asks = p.samples[0]?.kind === "dns_answer" && p.samples.length >= 8;
    return [
      { weight: -1.8 + surely, text: `${many(p.packets, name)} that nobody asked for` },
      ...crowd(p, -2),
      ...when(unasked, 1.8, "nothing of ours went out to their senders"),
      ...when(p.topDestinationPort >= 0.8 && p.sources >= 4, 1, `all meet at port ${p.destinationPort}`),
      ...when(p.abusive >= 0.3, 2, `${percent(p.abusive)} answer questions that only attackers ask`),
      ...when(asks && p.topToken >= 0.4 && p.sources >= 4, 1.5, `${percent(p.topToken)} answer the same question`),
      ...when(
        asks && p.abusive < 0.2 && p.tokens > p.samples.length * 0.5,
        surelyUnasked ? -1 : -3,
        `${p.tokens} different questions`,
      ),
      ...when(p.meanPayload >= 400, 0.6, `${Math.round(p.meanPayload)} octets each`),
      ...when(
        p.sources <= 3 && p.packets >= 500 && (p.peakPps ?? 0) >= 1000 && (p.abusive >= 0.3 || p.meanPayload >= 300),
        3,
        "a stream of them from so few",
      ),
      ...when(p.local >= 0.8, -2.5, "their senders are on the local network"),
      ...when(p.packets < 10, -1.5),
      ...rate(p, { fast: 300, slow: 3 }),
      ...when(isLive(summary), 1),
    ];
  };
}

/** What single tools send alike and crowds do not. */
export function alike(p: Picture, weight: number): Evidence[] {
  return p.sources < 8
    ? []
    : first(
        p.topFingerprint >= 0.9 && [
          weight,
          `${percent(p.topFingerprint)} have the same window, flags and header length`,
        ],
        p.fingerprints >= p.samples.length * 0.5 && p.samples.length >= 12 && [weight, "their windows are random"],
        p.topFingerprint < 0.65 &&
          p.fingerprints >= 3 &&
          p.optionless < 0.3 && [-weight, `${p.fingerprints} different TCP stacks`],
      );
}

/** A single sender, who is one only by his persistence. */
export const lone = (p: Picture, weight: number, packets = 100): Evidence[] =>
  when(
    p.sources <= 3 && p.packets >= packets && p.topTarget >= 0.8,
    weight,
    `${p.packets} packets to port ${p.destinationPort} from ${many(p.sources, "source")}`,
  );

/** Share of the data whose senders were also seen to open a session. */
function begun(p: Picture, summary: Summary): number {
  const began = new Set(summary.kept.filter(({ kind }) => FOLLOWS[kind]).map(({ source }) => source));
  return p.samples.filter(({ source }) => began.has(source)).length / Math.max(1, p.samples.length);
}

const FOLLOWS: Partial<Record<Kind, readonly Kind[]>> = {
  wireguard_handshake: ["wireguard_data"],
  ike_control: ["esp_in_udp", "esp"],
  openvpn_handshake: ["openvpn_control", "openvpn_data"],
  ike_handshake: ["ike_control", "esp_in_udp", "esp"],
};

/** Share of the handshakes whose senders also sent what comes after. */
function followUps(p: Picture, summary: Summary): number {
  const went = new Map<Kind, Set<Address>>();
  for (const { kind, source } of summary.kept) went.set(kind, (went.get(kind) ?? new Set()).add(source));
  const followed = p.samples.filter(({ kind, source }) => FOLLOWS[kind]?.some((next) => went.get(next)?.has(source)));
  return followed.length / Math.max(1, p.samples.length);
}

/** The server has finished half of what was opened, or more. */
export const hasFinished = ({ course }: Summary) =>
  course?.handshakes !== undefined && course.handshakes.finished >= Math.max(10, course.handshakes.opened * 0.5);
const finishedText = ({ course }: Summary) =>
  // Some protocols answer a finished handshake with several packets.
  course?.handshakes === undefined
    ? undefined
    : `the server finished ${Math.min(course.handshakes.finished, course.handshakes.opened)} of ${course.handshakes.opened} handshakes`;

/** Handshakes that came to nothing; a crowd coming back looks alike at first. */
export function handshakes(p: Picture, summary: Summary): Evidence[] {
  const junk = p.mac1Checked - p.mac1Valid;
  const checked = p.mac1Checked >= 5;
  const { span } = p;
  const perSourceAndSecond = p.packets / Math.max(1, p.sources) / Math.max(1, span);
  const followed = followUps(p, summary);
  const hasRate = summary.context.complete === true;
  return [
    { weight: -1.2, text: `${many(p.packets, "handshake")} from ${senders(p)} that led to no session` },
    ...first(
      p.sources >= 20 && [1.6],
      p.sources >= 8 && [1],
      p.sources <= 3 && p.packets < 12 && [-4, "so few are a client that is not let in"],
    ),
    ...when(p.steady >= 0.5 && p.sources < 100, -2, "senders repeat themselves, as clients do that get no answer"),
    ...when(followed >= 0.5, -3.5, `${percent(followed)} of their senders went on with a session`),
    ...when(isUnfinished(summary), 5, finishedText(summary)),
    ...when(!isUnfinished(summary) && hasFinished(summary), -2.5, finishedText(summary)),
    ...when(checked && junk >= p.mac1Checked * 0.3, 4, `${junk} of ${p.mac1Checked} carry a false mac1`),
    ...when(checked && junk === 0, -2.2, `all ${p.mac1Checked} checked carry a valid mac1`),
    ...when(p.packets < 10, -1.5),
    ...when(
      hasRate && perSourceAndSecond > 1 && p.packets >= 20,
      2.5,
      `${perSourceAndSecond.toFixed(1)} a second from each source`,
    ),
    ...when(
      hasRate && p.sources >= 8 && p.repeats < 0.05 && span > 8,
      1,
      "none is repeated, as clients do that get no answer",
    ),
    ...when(hasRate && p.packets >= 40 && followed < 0.1, 2, "not one led to a session"),
    ...when(p.topToken >= 0.3 && p.sources >= 8, 1, `${percent(p.topToken)} carry the same session`),
    ...when(p.local >= 0.8 && p.bogons < 0.04, -1),
    ...madeUp(p),
    ...when(isLive(summary), 0.8),
  ];
}

/** Messages that claim a session of ours. */
export function sessions(p: Picture, summary: Summary): Evidence[] {
  const { samples } = p;
  const reserved = samples.filter(({ token }) => token >= 0 && token < 256).length / Math.max(1, samples.length);
  const spread = samples.length >= 10 && p.tokens >= samples.length * 0.5;
  const repeated = isRepeated(p, summary);
  const tunnels = samples[0]?.kind === "esp" || samples[0]?.kind === "ah" || samples[0]?.kind === "esp_in_udp";
  return [
    { weight: -1.2, text: `${many(p.packets, "data packet")} of no known session, from ${senders(p)}` },
    ...first(p.sources >= 8 && [1.6], p.sources >= 4 && [0.7], [-1]),
    ...when(begun(p, summary) >= 0.5, -3, "their senders opened the sessions first"),
    ...when(spread, 2.8, `${p.tokens} different session numbers in ${samples.length} packets`),
    ...when(tunnels && reserved >= 0.5, 4.5, `${percent(reserved)} carry a reserved session number`),
    ...when(repeated, 4, `${percent(p.topMark)} are the same to the octet, as no two packets of a session are`),
    ...when(!repeated && p.steady >= 0.6 && p.sources < 100, -2.2, "each sender keeps to one session"),
    ...when(p.ordered >= 0.6, -2.5, "their counters rise as in a real session"),
    ...when(p.sources >= 8 && p.topToken >= 0.6, 1.6, `${percent(p.topToken)} share one session number`),
    ...when(
      !repeated && p.sources <= 3 && p.tokens <= 3 && reserved < 0.5,
      -1.5,
      `${many(p.tokens, "session")} of ${many(p.sources, "sender")}`,
    ),
    ...when(p.packets < 10, -1.5),
    ...madeUp(p),
    ...rate(p, { fast: 1000, slow: 1 }),
    ...when(hasLane(summary, ":unissued"), 1.5, "the server never issued them"),
    ...when(isLive(summary), 0.8),
  ];
}

/** Portless protocols whose packets name no session. */
export function portless(p: Picture, summary: Summary): Evidence[] {
  return [
    { weight: -1.2, text: `${many(p.packets, "packet")} from ${senders(p)} that nothing of ours went out to` },
    ...crowd(p, -1.8),
    ...first(
      isRepeated(p, summary) && [2.8, `${percent(p.topMark)} are the same to the octet`],
      p.topMark >= 0.6 && p.samples.length >= 10 && [1.2, `${percent(p.topMark)} are the same to the octet`],
    ),
    ...when(p.packets < 10, -1.5),
    ...flagrant(summary),
    ...madeUp(p),
    ...rate(p, { fast: 500, slow: 1 }),
    ...when(isLive(summary), 1.5),
  ];
}

export function tcp(p: Picture, summary: Summary, what: string, base: number): Evidence[] {
  return [
    { weight: base, text: `${many(p.packets, what)} outside any connection` },
    ...crowd(p, -1.2),
    ...scan(p),
    ...when(p.packets < 10, -1.5),
    ...madeUp(p),
    ...rate(p, { fast: 300, slow: 2 }),
    ...when(isLive(summary), 1),
  ];
}
