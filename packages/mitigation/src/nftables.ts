import type { VpnPort } from "@flowtriq/protocol/lane";
import type { HostFacts } from "./facts.ts";
import { hookChains, hostChain } from "./hooks.ts";
import { type Chain, counter, laneChains, laneObjects, TOTAL_BURST } from "./lane-chains.ts";
import { lanesOf } from "./lanes.ts";
import { leasesOf } from "./leases.ts";
import { cookieCounter, finishedCounter, oddCounter, PORT_MAP, sentCounter, variantCounter } from "./names.ts";
import { NO_PLAN } from "./plan.ts";
import { portChains } from "./ports.ts";
import { GIVEN_SETS, givenElements, learnedSets, seedElements } from "./sets.ts";

/**
 * The whole table, as one transaction for `nft -f`: learned sets, counters and leases of a table that stands already live
 * on, its chains are emptied and written anew. Known peers are seeded in the same transaction, so nobody who is connected
 * notices.
 */
export function toNftables(facts: HostFacts): string {
  const lanes = lanesOf(facts.ports);
  const chains: Chain[] = [
    ...lanes.flatMap((lane) => laneChains(lane, facts)),
    ...facts.ports.flatMap((port) => portChains(port, facts)),
    hostChain(facts),
    ...hookChains(facts),
  ];
  const table = `inet ${facts.table}`;
  return [
    `table ${table} {`,
    ...learnedSets(facts).map(indent),
    ...GIVEN_SETS.map(indent),
    indent(`limit sampler { rate ${facts.samplesPerSecond}/second burst ${TOTAL_BURST} packets; }`),
    ...lanes.flatMap((lane) => laneObjects(lane, facts)).map(indent),
    ...facts.ports
      .filter(isUdp)
      .flatMap((port) => PORT_COUNTERS.map((named) => counter(named(port))))
      .map(indent),
    indent(`map ${PORT_MAP} { type inet_service : verdict; flags timeout; }`),
    ...chains.map(({ name, hook }) => indent(`chain ${name} { ${hook ?? ""} }`)),
    "}",
    ...chains.map(({ name }) => `flush chain ${table} ${name}`),
    ...OPTIONAL_CHAINS.filter((name) => !chains.some((chain) => chain.name === name)).flatMap((name) =>
      // Deleting what is not there would fail, adding what is there does not.
      ["add", "flush", "delete"].map((verb) => `${verb} chain ${table} ${name}`),
    ),
    `table ${table} {`,
    ...chains.flatMap(({ name, rules }) => [`chain ${name} {`, ...rules.map(indent), "}"].map(indent)),
    "}",
    ...portElements(facts),
    ...givenElements(facts),
    ...seedElements(facts),
    "",
  ].join("\n");
}

const PORT_COUNTERS = [finishedCounter, oddCounter, sentCounter, cookieCounter, variantCounter];

/** As in peace; a lease begins anew after a load. */
function portElements(facts: HostFacts): string[] {
  const map = `inet ${facts.table} ${PORT_MAP}`;
  const elements = leasesOf(NO_PLAN, facts, 0).flatMap((lease) => lease.elements);
  const list = elements.map(({ key, chain }) => `${key} : goto ${chain}`).join(", ");
  return [`flush map ${map}`, ...(list ? [`add element ${map} { ${list} }`] : [])];
}

/** Chains with a hook of their own that a table of other facts may have left. */
const OPTIONAL_CHAINS = ["tracked", "untracked_in", "untracked_out"];

/** Removes everything of ours. */
export const toRemoval = (table: string): string => `delete table inet ${table}\n`;

/** Takes the entry chain off its interfaces, to be followed by the whole table in the same transaction. */
export const toUnhooking = (table: string): string =>
  `flush chain inet ${table} observe\ndelete chain inet ${table} observe\n`;

const isUdp = (port: VpnPort) => port.transport === "udp";
const indent = (line: string) => `  ${line}`;
