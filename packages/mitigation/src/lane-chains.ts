import { type LaneId, portOf } from "@flowtriq/protocol/lane";
import type { HostFacts } from "./facts.ts";
import { firstAidOf, type LaneMitigation, mitigationOf, withVerdict } from "./mitigations.ts";
import {
  arrivedCounter,
  droppedCounter,
  firstAidSet,
  knownCounter,
  LOOKED_AT_ONE_IN,
  lateLeaseMap,
  leaseMap,
  metCounter,
  mitigationChain,
  nameOf,
  observedCounter,
} from "./names.ts";
import { sparing } from "./sets.ts";

export type Chain = { name: string; hook?: string; rules: string[] };

/** As far as the mac1 of a WireGuard initiation over IPv6. */
const SAMPLE_BYTES = 192;
/** Samples that one lane may hand up at once, and all lanes together. */
const LANE_BURST = 64;
export const TOTAL_BURST = 200;
/**
 * Parts of all samples that one lane gets: many while it is judged, few once its mitigation stands. Each sample costs the agent
 * more than a reading of all counters, and after the first 48 they only show whether the attack changes its face.
 */
const SHARE = { judged: 1 / 4, mitigated: 1 / 20 };
const MITIGATED_BURST = 48;
/** A limit or a look into a set costs a packet some 70 to 100 ns, so only one in so many pays for it where there are many. */
export const ONE_IN = `numgen inc mod ${LOOKED_AT_ONE_IN} 0`;

export const counter = (name: string): string => `counter ${name} { }`;
const isData = (lane: LaneId) => lane.endsWith(":data");
const isHandshake = (lane: LaneId) => portOf(lane) !== undefined && lane.endsWith(":handshake");

/** Enters the chain of a lane. */
export const toLane = (lane: LaneId): string => `goto l_${nameOf(lane)}`;
const enterLease = (lane: LaneId) => `meta nfproto vmap @${leaseMap(lane)}`;

/** Counters of a lane, and its dead-man switch: each element is the lease of one address family; when it runs out the lane is open again. */
export function laneObjects(lane: LaneId, facts: HostFacts): string[] {
  const mitigation = mitigationOf(lane, facts);
  const known = isHandshake(lane) ? [counter(knownCounter(lane))] : [];
  if (!mitigation) return [counter(arrivedCounter(lane)), ...known];
  const maps = [leaseMap, ...(mitigation.tracked ? [lateLeaseMap] : [])];
  return [
    ...[arrivedCounter, droppedCounter, observedCounter, metCounter].map((name) => counter(name(lane))),
    ...known,
    ...maps.map((name) => `map ${name(lane)} { type nf_proto : verdict; flags timeout; }`),
    ...(firstAidOf(lane) ? [`set ${firstAidSet(lane)} { type nf_proto; flags timeout; }`] : []),
  ];
}

/** Counts a lane, enters the mitigation while it is leased, and wakes the agent when the lane's rate trips. */
export function laneChains(lane: LaneId, facts: HostFacts): Chain[] {
  const { pps, burst } = facts.trips(lane);
  const count = `counter name ${arrivedCounter(lane)}`;
  const over = `limit rate over ${pps}/second burst ${burst} packets`;
  // The data lane is the one on which there is much in peace; its threshold is far above what a sixteenth could blur.
  const few = (value: number) => Math.max(1, Math.ceil(value / LOOKED_AT_ONE_IN));
  const overSome = `${ONE_IN} limit rate over ${few(pps)}/second burst ${few(burst)} packets`;
  const trip = `${isData(lane) ? overSome : over} ${sample(lane, facts, SHARE.judged, LANE_BURST)}`;
  const mitigation = mitigationOf(lane, facts);
  const open = { name: `l_${nameOf(lane)}`, rules: [count, trip] };
  if (!mitigation) return [open];
  const spare = sparing(facts.neverBlock);
  const looked = { name: lookedChain(lane), rules: lookedRules(lane, facts) };
  if (mitigation.tracked) {
    return [
      looked,
      ...mitigationChains(lane, mitigation, spare),
      { name: mitigationChain(lane, "pass"), rules: [look(lane), "accept"] },
      { ...open, rules: [count, enterLease(lane), trip] },
    ];
  }
  const mitigated = [looked, ...mitigationChains(lane, mitigation, [look(lane), ...spare])];
  if (isUdpData(lane))
    return [...mitigated, open, { name: `e_${nameOf(lane)}`, rules: [count, enterLease(lane), trip] }];
  const rules = [count, enterLease(lane), ...knownRules(lane), trip, ...firstAidRules(lane, pps, spare)];
  return [...mitigated, { ...open, rules }];
}

const isUdpData = (lane: LaneId) => isData(lane) && portOf(lane)?.transport === "udp";

/** Enters the chain of a data lane that looks for a lease, where there can be one: see `portChains`. */
export const leasedData = (lane: LaneId, facts: HostFacts): string =>
  mitigationOf(lane, facts) ? `goto e_${nameOf(lane)}` : toLane(lane);

const sample = (lane: LaneId, facts: HostFacts, share: number, burst: number) =>
  `limit rate ${Math.max(1, Math.floor(facts.samplesPerSecond * share))}/second burst ${burst} packets ` +
  `limit name "sampler" log prefix "${lane}" group ${facts.nflogGroup} snaplen ${SAMPLE_BYTES} queue-threshold 1`;

const lookedChain = (lane: LaneId) => `s_${nameOf(lane)}`;
/** One in so many of those whom the rules see is looked at. */
const look = (lane: LaneId) => `${ONE_IN} jump ${lookedChain(lane)}`;
/** Whether they include addresses of peers that once finished a handshake, and what they look like. */
const lookedRules = (lane: LaneId, facts: HostFacts) => [
  `ip saddr @met4 counter name ${metCounter(lane)}`,
  `ip6 saddr @met6 counter name ${metCounter(lane)}`,
  sample(lane, facts, SHARE.mitigated, MITIGATED_BURST),
];

/** What becomes of a leased lane's packets of one shape, for which a comparison is cheaper than its chain: all are dropped. */
export function droppedAtOnce(lane: LaneId, shape: string, facts: HostFacts): string[] {
  const drop = `counter name ${arrivedCounter(lane)} counter name ${droppedCounter(lane)} drop`;
  const spare = sparing(facts.neverBlock);
  return [`${ONE_IN} jump ${lookedChain(lane)}`, ...spare, drop].map((rule) => `${shape} ${rule}`);
}

/** The rules twice, `m_` to drop and `o_` to count what would be dropped, with the chains that they branch to. */
function mitigationChains(lane: LaneId, { rules, branches = {} }: LaneMitigation, before: string[]): Chain[] {
  return (["drop", "observe"] as const).flatMap((kind) => {
    const name = mitigationChain(lane, kind);
    const [hits, verdict] =
      kind === "drop" ? [droppedCounter(lane), "drop" as const] : [observedCounter(lane), "accept" as const];
    const compile = (list: string[]) =>
      list.map((rule) => withVerdict(rule, hits, verdict).replace("goto :", `goto ${name}_`));
    return [
      ...Object.entries(branches).map(([branch, list]) => ({ name: `${name}_${branch}`, rules: compile(list) })),
      { name, rules: [...before, ...compile(rules)] },
    ];
  });
}

/** A crowd of peers that comes back is known by this, before anything is judged. */
function knownRules(lane: LaneId): string[] {
  if (!isHandshake(lane)) return [];
  return [4, 6].map((n) => `${n === 4 ? "ip" : "ip6"} saddr . udp sport @peer${n} counter name ${knownCounter(lane)}`);
}

/** Never below the lane's own threshold, so that what is normal here is not cut. */
function firstAidRules(lane: LaneId, thresholdPps: number, spare: string[]): string[] {
  const bound = firstAidOf(lane);
  if (!bound) return [];
  const limit = `limit rate over ${Math.max(bound.pps, thresholdPps)}/second burst ${bound.burst} packets`;
  const above =
    bound.above === "drop" ? `counter name ${droppedCounter(lane)} drop` : `goto ${mitigationChain(lane, "drop")}`;
  return [...spare, `${limit} meta nfproto @${firstAidSet(lane)} ${above}`];
}
