"use client";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTRPC } from "../../trpc.ts";
import { pps } from "../../ui/format.ts";
import { Key, Section } from "../../ui/Page.tsx";
import { TimeChart } from "../../ui/TimeChart.tsx";
import type { IncidentRow } from "../incident/facts.ts";
import { useChartChoices } from "../incident/IncidentChart.tsx";
import { secondsOf } from "../live/traffic.ts";
import { useTraffic } from "../live/useTraffic.ts";
import { WINDOW_SECONDS } from "./window.ts";

/** All nodes added up, second by second; what was dropped stands on what passed, attack spans are shaded. */
export function AllTraffic({ incidents }: { incidents: readonly IncidentRow[] }) {
  const trpc = useTRPC();
  const series = useQuery(
    // Heard live from here on: asking again would only repeat it.
    trpc.traffic.series.queryOptions({ seconds: WINDOW_SECONDS }, { staleTime: 60_000 }),
  );
  const history = useMemo(() => series.data && secondsOf(series.data), [series.data]);
  const seconds = useTraffic(history, WINDOW_SECONDS);
  const { scale, asTable, controls } = useChartChoices("linear");
  const to = seconds.at(-1)?.at ?? 0;
  const quiet = seconds.every(({ passedPps }) => passedPps === null);
  return (
    <Section
      title="All nodes, packets per second"
      aside={
        <>
          <Key colour="var(--data-pass)">passed</Key>
          <Key colour="var(--data-drop)">dropped</Key>
          {controls}
        </>
      }
    >
      {quiet ? (
        <div className="grid h-[200px] place-items-center border-y border-line text-ink-2">
          No node has reported in the last five minutes.
        </div>
      ) : (
        <TimeChart
          label="Packets per second of all nodes in the last five minutes, passed and dropped."
          at={seconds.map(({ at }) => at)}
          lines={[
            {
              name: "passed",
              colour: "--data-pass",
              fill: 0.16,
              values: seconds.map(({ passedPps }) => passedPps),
            },
            {
              name: "dropped",
              colour: "--data-drop",
              fill: scale === "log" ? 0.16 : 0.8,
              on: 0,
              values: seconds.map(({ droppedPps }) => droppedPps),
            },
          ]}
          format={pps}
          scale={scale}
          asTable={asTable}
          window={{ from: to - WINDOW_SECONDS, to }}
          bands={incidents.map(({ startedAt, endedAt }) => ({
            from: startedAt.getTime() / 1000,
            to: endedAt ? endedAt.getTime() / 1000 : to,
          }))}
          height={200}
        />
      )}
    </Section>
  );
}
