import type { Sample, Summary } from "./features.ts";
import { isBogon, isLocal } from "./flows.ts";
import type { Address } from "./packet.ts";

/** What the unexplained samples of some kinds have in common. Shares are 0 to 1. */
export interface Picture {
  /** Packets of these kinds, all that came. */
  packets: number;
  samples: readonly Sample[];
  /** Of all unexplained packets. */
  share: number;
  sources: number;
  perSource: number;
  /** Share of samples whose source sent at most two of them. */
  light: number;
  local: number;
  /** Share of sources that nothing can come from, private networks apart. */
  bogons: number;
  /** Share of the three commonest TTLs. */
  ttls3: number;
  destinationPorts: number;
  /** Distinct pairs of address and port that were aimed at, and the share of the commonest. */
  targets: number;
  topTarget: number;
  topDestinationPort: number;
  topSourcePort: number;
  sourcePort: number;
  destinationPort: number;
  topLength: number;
  meanPayload: number;
  empty: number;
  topMark: number;
  tokens: number;
  topToken: number;
  abusive: number;
  speaks: number;
  spoken: string;
  optionless: number;
  topFingerprint: number;
  fingerprints: number;
  /** Samples whose counter follows the last one of the same source and token closely. */
  ordered: number;
  /** Samples from a source and port that were seen before. */
  repeats: number;
  /** Samples of a source and token that were seen before. */
  steady: number;
  /** Share of the three commonest first octets. */
  heads3: number;
  moreFragments: number;
  mac1Valid: number;
  mac1Checked: number;
  /** Seconds from the first to the last. */
  span: number;
  /** Rate in the busiest second, and over the whole span; undefined where the samples are not the whole traffic. */
  peakPps: number | undefined;
  pps: number | undefined;
}

/** `packets`: how many all of them stand for; `all`: how many all unexplained samples do. */
export function pictureOf(
  summary: Summary,
  samples: readonly Sample[],
  { packets, all }: { packets: number; all: number },
): Picture {
  const n = Math.max(1, samples.length);
  const bySource = new Map<Address, number>();
  const ports = new Tally();
  const sourcePorts = new Tally();
  const lengths = new Tally();
  const marks = new Tally();
  const tokens = new Tally();
  const fingerprints = new Tally();
  const ttls = new Tally();
  const heads = new Tally();
  const targets = new Tally<string>();
  const endpoints = new Set<string>();
  const spoken = new Map<string, number>();
  const last = new Map<string, number>();
  const counts = {
    local: 0,
    bogons: 0,
    payload: 0,
    empty: 0,
    abusive: 0,
    optionless: 0,
    ordered: 0,
    repeats: 0,
    steady: 0,
  };
  const more = { fragments: 0, mac1Valid: 0, mac1Checked: 0 };
  for (const sample of samples) {
    bySource.set(sample.source, (bySource.get(sample.source) ?? 0) + 1);
    ports.add(sample.destinationPort);
    targets.add(`${sample.destination} ${sample.destinationPort}`);
    sourcePorts.add(sample.sourcePort);
    lengths.add(sample.wireLength);
    marks.add(sample.mark);
    tokens.add(sample.token);
    fingerprints.add(sample.fingerprint);
    ttls.add(sample.ttl);
    heads.add(sample.head);
    counts.payload += sample.payloadLength;
    if (sample.payloadLength === 0) counts.empty++;
    if (sample.abusive) counts.abusive++;
    if (sample.optionless) counts.optionless++;
    if (sample.moreFragments) more.fragments++;
    if (sample.speaks) spoken.set(sample.speaks, (spoken.get(sample.speaks) ?? 0) + 1);
    if (sample.mac1 !== undefined) {
      more.mac1Checked++;
      if (sample.mac1) more.mac1Valid++;
    }
    const stream = `${sample.source} ${sample.token}`;
    const before = last.get(stream);
    if (before !== undefined && sample.counter > before && sample.counter - before < 1_000_000) counts.ordered++;
    if (before !== undefined) counts.steady++;
    last.set(stream, sample.counter);
    const endpoint = `${sample.source} ${sample.sourcePort}`;
    if (endpoints.has(endpoint)) counts.repeats++;
    endpoints.add(endpoint);
  }
  let light = 0;
  for (const [source, count] of bySource) {
    if (count <= 2) light += count;
    if (isLocal(source)) counts.local += count;
    if (isBogon(source) && !isLocal(source)) counts.bogons++;
  }
  // Captures that were joined from several are not in order.
  const [earliest, latest] = samples.reduce(
    ([a, b], { at }) => [Math.min(a, at), Math.max(b, at)],
    [Infinity, -Infinity],
  );
  const span = samples.length > 1 ? (latest - earliest) / 1000 : 0;
  // A burst shorter than a second has a rate too, if it is more than a few packets.
  const burst = span < 1 && n >= 8 ? packets / Math.max(span, 0.005) : 0;
  const mostSpoken = [...spoken].sort(([, a], [, b]) => b - a)[0];
  return {
    packets: Math.round(packets),
    samples,
    share: packets / Math.max(1, all),
    sources: bySource.size,
    perSource: n / Math.max(1, bySource.size),
    light: light / n,
    local: counts.local / n,
    bogons: counts.bogons / Math.max(1, bySource.size),
    ttls3: ttls.top(3) / n,
    destinationPorts: ports.size,
    targets: targets.size,
    topTarget: targets.top(1) / n,
    topDestinationPort: ports.top(1) / n,
    topSourcePort: sourcePorts.top(1) / n,
    sourcePort: sourcePorts.commonest ?? 0,
    destinationPort: ports.commonest ?? 0,
    topLength: lengths.top(1) / n,
    meanPayload: counts.payload / n,
    empty: counts.empty / n,
    topMark: marks.top(1) / n,
    tokens: tokens.size,
    topToken: tokens.top(1) / n,
    abusive: counts.abusive / n,
    speaks: [...spoken.values()].reduce((sum, count) => sum + count, 0) / n,
    spoken: mostSpoken?.[0] ?? "",
    optionless: counts.optionless / n,
    topFingerprint: fingerprints.top(1) / n,
    fingerprints: fingerprints.size,
    ordered: counts.ordered / n,
    repeats: counts.repeats / n,
    steady: counts.steady / n,
    heads3: heads.top(3) / n,
    moreFragments: more.fragments / n,
    mac1Valid: more.mac1Valid,
    mac1Checked: more.mac1Checked,
    span,
    peakPps: summary.context.complete ? Math.max(peak(samples) * (packets / n), burst) : undefined,
    pps: summary.context.complete ? packets / Math.max(span, 1) : undefined,
  };
}

/** Most samples within one second. */
function peak(samples: readonly Sample[]): number {
  const seconds = new Tally();
  for (const { at } of samples) seconds.add(Math.floor(at / 1000));
  return seconds.top(1);
}

class Tally<K = number> {
  readonly #counts = new Map<K, number>();
  add(key: K): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
  get size(): number {
    return this.#counts.size;
  }
  /** Sum of the commonest counts. */
  top(count: number): number {
    if (count === 1) return Math.max(0, ...this.#counts.values());
    return [...this.#counts.values()]
      .sort((a, b) => b - a)
      .slice(0, count)
      .reduce((sum, value) => sum + value, 0);
  }
  get commonest(): K | undefined {
    let best: K | undefined;
    let most = 0;
    for (const [key, count] of this.#counts) if (count > most) [best, most] = [key, count];
    return best;
  }
}
