import type { AppliedMitigation } from "@flowtriq/protocol/event";
import { isVector } from "@flowtriq/protocol/event";
import { hostLane, type LaneId, portOf, type VpnLaneClass, vpnLane } from "@flowtriq/protocol/lane";
import type { Mode, Policy } from "@flowtriq/protocol/policy";
import type { TrafficVerdict } from "@flowtriq/protocol/vector";
import { lanesOf } from "./lanes.ts";
import { firstAidOf, type MitigationContext, mitigationOf, withVerdict } from "./mitigations.ts";
import { droppedCounter, leaseMap, nameOf, observedCounter } from "./names.ts";

/** What the planner must know about an attack. */
export type PlannedAttack = {
  id: string;
  verdict: TrafficVerdict;
  lanes: LaneId[];
  withdrawn: boolean;
  /** Lanes of it whose rules the closed loop has rolled back. */
  rolledBack?: LaneId[];
};

/** The whole set of mitigations wanted now. */
export type Plan = {
  /** Lanes that drop, and lanes that only count what they would drop. */
  armed: LaneId[];
  watched: LaneId[];
  /** Lanes that the kernel may hold below a bound before anything is judged. */
  firstAid: LaneId[];
  byAttack: Map<string, { mode: Mode; dryRun: boolean; mitigations: AppliedMitigation[] }>;
};

/** Mode that the policy sets for this verdict. A reconnect storm is never dropped. */
export const modeFor = (policy: Policy, verdict: TrafficVerdict): Mode =>
  isVector(verdict) ? (policy.vectorModes[verdict] ?? policy.mode) : "observe";

export const NO_PLAN: Plan = { armed: [], watched: [], firstAid: [], byAttack: new Map() };

/** Policy and attacks in, mitigations out: all that is wanted now, not a change to it. */
export function plan(policy: Policy, attacks: PlannedAttack[], context: MitigationContext): Plan {
  const armed = new Set<LaneId>();
  const watched = new Set<LaneId>();
  const byAttack: Plan["byAttack"] = new Map();
  for (const attack of attacks) {
    if (attack.withdrawn) continue;
    const mode = modeFor(policy, attack.verdict);
    const dryRun = mode !== "enforce";
    const mitigations = withSiblings(attack.lanes, context).flatMap((lane) =>
      attack.rolledBack?.includes(lane) ? [] : describe(lane, context, dryRun),
    );
    if (mitigations.length === 0) continue;
    for (const { lane } of mitigations) (dryRun ? watched : armed).add(lane);
    byAttack.set(attack.id, { mode, dryRun, mitigations });
  }
  for (const lane of armed) watched.delete(lane);
  const withdrawn = attacks.flatMap(({ withdrawn, lanes, rolledBack = [] }) => (withdrawn ? lanes : rolledBack));
  // Nothing is judged yet: only where whatever it turns out to be would be dropped.
  const enforcing = [policy.mode, ...Object.values(policy.vectorModes)].every((mode) => mode === "enforce");
  const firstAid = enforcing
    ? lanesOf(context.ports).filter((lane) => firstAidOf(lane) && !withdrawn.includes(lane))
    : [];
  return { armed: [...armed], watched: [...watched], firstAid, byAttack };
}

/** Lanes of a VPN port that only strangers use. Junk at random falls into all of them, into some too rarely to be seen there. */
const STRANGERS: readonly string[] = ["malformed", "unissued", "control"];
/** Who is asked for connections in the host's name accepts some and refuses others. */
const [ACCEPTED, REFUSED] = [hostLane("synack"), hostLane("rst")];

function withSiblings(lanes: LaneId[], { ports }: MitigationContext): LaneId[] {
  const siblings = lanes.flatMap((lane) => {
    if (lane === ACCEPTED) return [REFUSED];
    const port = portOf(lane);
    if (port?.transport !== "udp" || !STRANGERS.includes(lane.slice(lane.lastIndexOf(":") + 1))) return [];
    return STRANGERS.map((cls) => vpnLane(port, cls as VpnLaneClass));
  });
  const known = lanesOf(ports);
  return [...new Set([...lanes, ...siblings])].filter((lane) => known.includes(lane));
}

/** A lane's mitigation as an operator reads it: words, and the rules as the kernel holds them. */
function describe(lane: LaneId, context: MitigationContext, dryRun: boolean): AppliedMitigation[] {
  const found = mitigationOf(lane, context);
  if (!found) return [];
  const counter = dryRun ? observedCounter(lane) : droppedCounter(lane);
  const verdict = dryRun ? "accept" : "drop";
  const spelled = (list: string[], before = "") => list.map((rule) => before + withVerdict(rule, counter, verdict));
  // Branches stand below the rules that enter them.
  const branches = Object.entries(found.branches ?? {}).flatMap(([name, rules]) => spelled(rules, `${name}: `));
  const rules = [`meta nfproto vmap @${leaseMap(lane)}`, ...spelled(found.rules), ...branches];
  return [{ id: `mit_${nameOf(lane)}`, lane, words: found.words, rules }];
}
