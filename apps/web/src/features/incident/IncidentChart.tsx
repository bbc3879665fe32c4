"use client";
import { parseAsBoolean, parseAsStringLiteral, useQueryState } from "nuqs";
import { Segmented } from "../../ui/Field.tsx";
import { pps } from "../../ui/format.ts";
import { Key, Section } from "../../ui/Page.tsx";
import { TimeChart } from "../../ui/TimeChart.tsx";
import type { IncidentFacts, IncidentSecond } from "./facts.ts";

const SCALES = ["log", "linear"] as const;

/** Log or linear, picture or table: kept in the address, so that a link shows the same. */
export function useChartChoices(initial: "log" | "linear") {
  const [scale, setScale] = useQueryState("scale", parseAsStringLiteral(SCALES).withDefault(initial));
  const [asTable, setAsTable] = useQueryState("table", parseAsBoolean.withDefault(false));
  const controls = (
    <span className="flex gap-2">
      <Segmented
        label="Scale"
        value={scale}
        onChange={(value) => void setScale(value)}
        options={[
          { value: "log", label: "log" },
          { value: "linear", label: "linear" },
        ]}
      />
      <Segmented
        label="Show as"
        value={asTable ? "table" : "chart"}
        onChange={(value) => void setAsTable(value === "table")}
        options={[
          { value: "chart", label: "chart" },
          { value: "table", label: "table" },
        ]}
      />
    </span>
  );
  return { scale, asTable, controls };
}

/** Before the drop against after it, with what happened marked. */
export function IncidentChart({ incident, seconds }: { incident: IncidentFacts; seconds: readonly IncidentSecond[] }) {
  const { scale, asTable, controls } = useChartChoices("log");
  const { firstPacketAt, startedAt, rulesAt, endedAt, thresholdPps } = incident;
  const begin = (firstPacketAt ?? startedAt).getTime() / 1000;
  const marks = [
    ...(rulesAt ? [{ at: rulesAt.getTime() / 1000, label: "rules active" }] : [{ at: begin, label: "attack begins" }]),
    ...(endedAt ? [{ at: endedAt.getTime() / 1000, label: "over" }] : []),
  ];
  const last = seconds.at(-1)?.at ?? begin;
  return (
    <Section
      title={`${incident.nodeName}, packets per second`}
      aside={
        <>
          <Key colour="var(--data-drop)">dropped</Key>
          <Key colour="var(--data-pass)">passed</Key>
          {thresholdPps !== null && (
            <Key colour="var(--ink-3)" dashed>
              threshold {pps(thresholdPps)}
            </Key>
          )}
          {controls}
        </>
      }
    >
      <TimeChart
        label={`Packets per second on ${incident.nodeName}, dropped and passed. Peak ${pps(incident.peakPps)}.`}
        at={seconds.map(({ at }) => at)}
        lines={[
          { name: "dropped", colour: "--data-drop", fill: 0.16, values: seconds.map(({ droppedPps }) => droppedPps) },
          { name: "passed", colour: "--data-pass", fill: 0.2, values: seconds.map(({ passedPps }) => passedPps) },
        ]}
        format={pps}
        scale={scale}
        asTable={asTable}
        marks={marks}
        bands={[{ from: begin, to: endedAt ? endedAt.getTime() / 1000 : last }]}
        threshold={thresholdPps ?? undefined}
        height={240}
      />
    </Section>
  );
}
