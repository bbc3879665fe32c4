"use client";
import type { LaneId } from "@flowtriq/protocol/lane";
import { useMemo } from "react";
import { count, pps } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { Sparkline } from "../../ui/Sparkline.tsx";
import { laneWords } from "../incident/words.ts";

export type LaneNow = { lane: LaneId; pps: number; bps: number; droppedPps: number };

/** Lanes with traffic in the last second, as small multiples. `thresholds`: those that the policy sets by hand. */
export function Lanes({ lanes, history, thresholds }: { lanes: readonly LaneNow[]; history: ReadonlyMap<LaneId, readonly { at: number; value: number }[]>; thresholds: Readonly<Record<string, number>> }) {
  const sorted = useMemo(() => [...lanes].sort((a, b) => b.pps - a.pps), [lanes]);
  return (
    <Section title="Lanes" aside="each VPN port and packet class is counted and judged by itself">
      {sorted.length === 0 ? (
        <p className="text-ink-2">No traffic in the last second.</p>
      ) : (
        <ul className="num grid gap-x-7 gap-y-4 md:grid-cols-4">
          {sorted.map(({ lane, pps: now, droppedPps }) => {
            const points = history.get(lane) ?? [];
            const threshold = thresholds[lane];
            return (
              <li key={lane} className="min-w-0">
                <h3 className="truncate text-xs text-ink-2">{laneWords(lane)}</h3>
                <p className="mb-1 font-[600]" title={`${count(now)} packets per second`}>
                  {pps(now)}
                  {droppedPps > 0 && <small className="ml-1.5 text-xs font-normal text-critical">{pps(droppedPps)} dropped</small>}
                </p>
                <Sparkline
                  label={`${laneWords(lane)} in the last minutes, now ${pps(now)}`}
                  points={points}
                  from={points[0]?.at ?? 0}
                  to={points.at(-1)?.at ?? 1}
                  height={32}
                  colour={droppedPps > 0 ? "var(--data-drop)" : "var(--data-pass)"}
                />
                {threshold !== undefined && <p className="mt-1 text-xs text-ink-3">threshold {pps(threshold)}, set by hand</p>}
              </li>
            );
          })}
        </ul>
      )}
    </Section>
  );
}
