import { type LaneId, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import { lanesOf } from "./lanes.ts";
import { firstAidOf, type MitigationContext, mitigationOf } from "./mitigations.ts";
import {
  budgetChain,
  firstAidSet,
  lateLeaseMap,
  leaseMap,
  mitigationChain,
  PORT_MAP,
  portChain,
  siegeChain,
} from "./names.ts";
import type { Plan } from "./plan.ts";

/** Elements of one set or map: both address families, or UDP ports. Without `seconds` an element stays; `chain`: where a map sends to. */
export type Lease = {
  set: string;
  elements: { key: "ipv4" | "ipv6" | number; chain?: string; seconds?: number }[];
};

/** A plan as what the kernel is to hold of it. Sets and maps that are not named hold nothing. */
export function leasesOf(
  plan: Pick<Plan, "armed" | "watched" | "firstAid">,
  context: MitigationContext,
  seconds: number,
) {
  const both = (set: string, chain?: string): Lease => ({
    set,
    elements: (["ipv4", "ipv6"] as const).map((key) => ({ key, seconds, ...(chain ? { chain } : {}) })),
  });
  const entered = (kind: "drop" | "observe") => (lane: LaneId) =>
    mitigationOf(lane, context)?.tracked
      ? [both(leaseMap(lane), mitigationChain(lane, "pass")), both(lateLeaseMap(lane), mitigationChain(lane, kind))]
      : [both(leaseMap(lane), mitigationChain(lane, kind))];
  const ports = portElements(plan, context, seconds);
  return [
    ...plan.armed.flatMap(entered("drop")),
    ...plan.watched.flatMap(entered("observe")),
    ...plan.firstAid.map((lane) => both(firstAidSet(lane))),
    ...(ports.length > 0 ? [{ set: PORT_MAP, elements: ports }] : []),
  ];
}

/** Names of all sets and maps that a table of these facts has for leases. */
export function leaseSets(context: MitigationContext): Set<string> {
  const lanes = lanesOf(context.ports);
  const armed = lanes.filter((lane) => mitigationOf(lane, context));
  const all = { armed, watched: [], firstAid: lanes.filter(firstAidOf) };
  return new Set(leasesOf(all, context, 0).map(({ set }) => set));
}

/** Which chain sorts the packets of each UDP port: it is another one while strangers are dropped, and while sessions have budgets. */
function portElements(
  { armed, watched }: Pick<Plan, "armed" | "watched">,
  context: MitigationContext,
  seconds: number,
) {
  const udp = context.ports.filter(({ transport }) => transport === "udp");
  return udp.map((port) => {
    const lane = (cls: Parameters<typeof vpnLane>[1]) => vpnLane(port, cls);
    if (hasSiege(port) && armed.includes(lane("malformed")))
      return { key: port.port, chain: siegeChain(port), seconds };
    const budgets = [...armed, ...watched].includes(lane("data"));
    return budgets ? { key: port.port, chain: budgetChain(port), seconds } : { key: port.port, chain: portChain(port) };
  });
}

/** Whether junk on this port has a shape that one comparison tells: not where a disguise is spoken. */
export const hasSiege = ({ protocol, strictness }: VpnPort): boolean =>
  strictness !== "lenient" && (protocol === "wireguard" || protocol === "openvpn");
