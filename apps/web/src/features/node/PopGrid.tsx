"use client";
import Link from "next/link";
import { useNow } from "../../ui/clock.ts";
import { count, pps } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import type { NodeNow } from "../live/useTraffic.ts";
import { NODE_STATES, type NodeRow, type NodeState, stateOf } from "./facts.ts";
import { NodeMark } from "./NodeMark.tsx";

const KEY: readonly NodeState[] = ["attacked", "protected", "look", "observing", "silent"];

/** All nodes by place, one square each. */
export function PopGrid({
  base,
  nodes,
  latest,
}: {
  base: string;
  nodes: readonly NodeRow[];
  latest: ReadonlyMap<string, NodeNow>;
}) {
  const now = useNow();
  const pops = byPop(nodes);
  const states = new Map(nodes.map((node) => [node.id, stateOf(node, now, latest.get(node.id)?.at)]));
  const present = new Set(states.values());
  return (
    <Section
      title="Nodes by PoP"
      aside={KEY.filter((state) => present.has(state)).map((state) => (
        <span key={state} className="inline-flex items-center gap-1.5 text-xs text-ink-2" suppressHydrationWarning>
          <NodeMark state={state} className="size-2.5 rounded-[2px]" />
          {NODE_STATES[state].words}
        </span>
      ))}
    >
      <div className="num grid grid-cols-2 gap-x-7 gap-y-5 md:grid-cols-4">
        {[...pops].map(([pop, members]) => (
          <div key={pop} className="min-w-0">
            <h3 className="mb-1.5 flex justify-between gap-2 text-xs">
              <span className="truncate">{pop}</span>
              <span className="whitespace-nowrap text-ink-3">{tunnelsOf(members, latest)}</span>
            </h3>
            <ul className="flex flex-wrap gap-[3px]">
              {members.map((node) => {
                const state = states.get(node.id) ?? "silent";
                const seen = latest.get(node.id);
                const words = [node.name, NODE_STATES[state].words, seen && pps(seen.pps)].filter(Boolean).join(", ");
                return (
                  <li key={node.id} className="leading-none">
                    <Link
                      href={`${base}/nodes/${node.id}`}
                      prefetch={false}
                      title={words}
                      aria-label={words}
                      suppressHydrationWarning
                      className="block rounded-[3px] max-md:p-[5px]"
                    >
                      <NodeMark state={state} className="block" />
                    </Link>
                  </li>
                );
              })}
            </ul>
          </div>
        ))}
      </div>
    </Section>
  );
}

function byPop(nodes: readonly NodeRow[]): Map<string, NodeRow[]> {
  const pops = new Map<string, NodeRow[]>();
  for (const node of nodes) {
    const pop = node.pop ?? node.region ?? "No place given";
    pops.set(pop, [...(pops.get(pop) ?? []), node]);
  }
  return pops;
}

function tunnelsOf(nodes: readonly NodeRow[], latest: ReadonlyMap<string, NodeNow>): string {
  const known = nodes.flatMap((node) => latest.get(node.id)?.tunnels ?? node.tunnels ?? []);
  return known.length === 0 ? "tunnels unknown" : `${count(known.reduce((a, b) => a + b, 0))} tunnels`;
}
