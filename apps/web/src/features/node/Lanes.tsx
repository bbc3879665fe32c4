"use client";
import type { LaneId } from "@flowtriq/protocol/lane";
import type { LaneSecond } from "@flowtriq/protocol/observation";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTRPC } from "../../trpc.ts";
import { count, pps } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { Sparkline } from "../../ui/Sparkline.tsx";
import { laneWords } from "../incident/words.ts";
import { useLive } from "../live/Live.tsx";

type Moment = { at: number; lanes: readonly LaneSecond[] };
const KEEP = 150;
const EVERY_MS = 2000;

/** Each lane by itself, since the page was opened. `thresholds`: those that the policy sets by hand. */
export function Lanes({ nodeId, thresholds }: { nodeId: string; thresholds: Readonly<Record<string, number>> }) {
  const moments = useMoments(nodeId);
  const newest = moments.at(-1);
  const peaks = new Map<LaneId, number>();
  for (const { lanes } of moments)
    for (const { lane, pps: now } of lanes) peaks.set(lane, Math.max(now, peaks.get(lane) ?? 0));
  const lanes = [...peaks].sort(([, a], [, b]) => b - a).map(([lane]) => lane);
  return (
    <Section title="Lanes" aside="each VPN port and packet class is counted and judged by itself">
      {lanes.length === 0 ? (
        <p className="text-ink-2">No traffic in the last minute.</p>
      ) : (
        <ul className="num grid grid-cols-2 gap-x-7 gap-y-5 md:grid-cols-4">
          {lanes.map((lane) => (
            <Lane
              key={lane}
              lane={lane}
              moments={moments}
              now={newest?.lanes.find((second) => second.lane === lane)}
              threshold={thresholds[lane]}
            />
          ))}
        </ul>
      )}
    </Section>
  );
}

function Lane({
  lane,
  moments,
  now,
  threshold,
}: {
  lane: LaneId;
  moments: readonly Moment[];
  now: LaneSecond | undefined;
  threshold: number | undefined;
}) {
  const points = moments.map(({ at, lanes }) => ({
    at,
    value: lanes.find((second) => second.lane === lane)?.pps ?? 0,
  }));
  const to = points.at(-1)?.at ?? 0;
  const dropped = now?.droppedPps ?? 0;
  return (
    <li className="min-w-0">
      <h3 className="truncate text-xs text-ink-2">{laneWords(lane)}</h3>
      <p
        className="mb-1 font-[600]"
        title={`${count(now?.pps ?? 0)} packets per second, ${count(dropped)} of them dropped`}
      >
        {pps(now?.pps ?? 0)}{" "}
        {dropped > 0 && (
          <small className="text-xs font-normal whitespace-nowrap text-critical">{pps(dropped)} dropped</small>
        )}
      </p>
      <Sparkline
        label={`${laneWords(lane)}: now ${pps(now?.pps ?? 0)}`}
        points={points}
        from={Math.min(to - 30, points[0]?.at ?? to)}
        to={to}
        level={threshold}
        height={32}
        colour={dropped > 0 ? "var(--data-drop)" : "var(--data-pass)"}
      />
      {threshold !== undefined && <p className="mt-1 text-xs text-ink-3">threshold {pps(threshold)}, set by hand</p>}
    </li>
  );
}

/** Lanes are not in the live stream, which would be too much of it for all nodes: this page asks for its own. */
function useMoments(nodeId: string): readonly Moment[] {
  const trpc = useTRPC();
  const { paused } = useLive();
  const { data } = useQuery(
    trpc.traffic.lanes.queryOptions({ nodeId }, { refetchInterval: paused ? false : EVERY_MS }),
  );
  const [moments, setMoments] = useState<readonly Moment[]>([]);
  useEffect(() => {
    if (!data?.at) return;
    const at = data.at.getTime() / 1000;
    setMoments((was) => (was.at(-1)?.at === at ? was : [...was.slice(-KEEP), { at, lanes: data.lanes }]));
  }, [data]);
  return moments;
}
