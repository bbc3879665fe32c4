"use client";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type Outputs, useTRPC } from "../../trpc.ts";
import { useNow } from "../../ui/clock.ts";
import { Figures } from "../../ui/Figures.tsx";
import { bps, count, pps } from "../../ui/format.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { Key, PageHead, Section } from "../../ui/Page.tsx";
import { SkeletonBlock, SkeletonRows } from "../../ui/States.tsx";
import { Ago } from "../../ui/Time.tsx";
import { TimeChart } from "../../ui/TimeChart.tsx";
import { useChartChoices } from "../incident/IncidentChart.tsx";
import { IncidentTable } from "../incident/IncidentTable.tsx";
import { Known } from "../incident/Marks.tsx";
import { MODE_WORDS } from "../incident/words.ts";
import { secondsOf } from "../live/traffic.ts";
import { useLatest, useTraffic } from "../live/useTraffic.ts";
import { NODE_STATES, stateOf } from "./facts.ts";
import { Health } from "./Health.tsx";
import { Lanes } from "./Lanes.tsx";
import { NodeMark } from "./NodeMark.tsx";

export const NODE_WINDOW_SECONDS = 900;
type NodeFacts = Outputs["node"]["get"];

export function NodePage({ base, nodeId }: { base: string; nodeId: string }) {
  const trpc = useTRPC();
  const node = useQuery(trpc.node.get.queryOptions({ nodeId }));
  return (
    <Loaded
      query={node}
      what="Node"
      skeleton={
        <>
          <SkeletonBlock height={92} label="Loading the node" />
          <SkeletonBlock height={240} label="Loading its traffic" />
          <SkeletonRows label="Loading its lanes" />
        </>
      }
    >
      {(facts) => <Node base={base} node={facts} />}
    </Loaded>
  );
}

function Node({ base, node }: { base: string; node: NodeFacts }) {
  const trpc = useTRPC();
  const policy = useQuery(trpc.policy.get.queryOptions()).data;
  const latest = useLatest().get(node.id);
  const now = useNow();
  const state = stateOf(node, now, latest?.at);
  const heardAt = latest ? new Date(latest.at) : node.lastSeenAt;
  const tunnels = latest?.tunnels ?? node.tunnels;
  return (
    <>
      <PageHead
        title={
          <span className="inline-flex items-center gap-2.5" suppressHydrationWarning>
            <NodeMark state={state} />
            {node.name} is {NODE_STATES[state].words}
          </span>
        }
      >
        <p>
          {[node.hostname !== node.name && node.hostname, node.pop, node.region].filter(Boolean).join(", ")}
          {(node.hostname !== node.name || node.pop || node.region) && ". "}
          {heardAt ? (
            <>
              Heard <Ago at={heardAt} />.
            </>
          ) : (
            "It has enrolled and not reported yet."
          )}
        </p>
      </PageHead>
      <Figures
        figures={[
          { label: "Tunnels up now", value: <Known value={tunnels} show={count} /> },
          {
            label: "Arriving now",
            value: latest ? pps(latest.pps) : <span className="text-ink-3">unknown</span>,
            note: latest ? bps(latest.bps) : "no report in this page's time",
            exact: latest && `${count(latest.pps)} packets per second`,
          },
          {
            label: "Dropped now",
            value: latest ? pps(latest.droppedPps) : <span className="text-ink-3">unknown</span>,
            exact: latest && `${count(latest.droppedPps)} packets per second`,
          },
          {
            label: "Mode",
            value: <Known value={node.mode} show={(mode) => MODE_WORDS[mode]} />,
            note: `policy ${node.appliedRevision}`,
          },
        ]}
      />
      <Traffic node={node} />
      <Lanes nodeId={node.id} thresholds={policy?.policy.thresholdsPps ?? {}} />
      <Health node={node} wantedRevision={policy?.revision} />
      <Section title="Incidents on this node">
        {node.incidents.length === 0 ? (
          <p className="text-ink-2">None yet.</p>
        ) : (
          <IncidentTable base={base} rows={node.incidents} caption={`Incidents on ${node.name}, newest first`} />
        )}
      </Section>
    </>
  );
}

function Traffic({ node }: { node: NodeFacts }) {
  const trpc = useTRPC();
  const series = useQuery(
    trpc.traffic.series.queryOptions({ nodeId: node.id, seconds: NODE_WINDOW_SECONDS }, { staleTime: 60_000 }),
  );
  const history = useMemo(() => series.data && secondsOf(series.data), [series.data]);
  const seconds = useTraffic(history, NODE_WINDOW_SECONDS, node.id);
  const { scale, asTable, controls } = useChartChoices("linear");
  const to = seconds.at(-1)?.at ?? 0;
  return (
    <Section
      title="Packets per second"
      aside={
        <>
          <Key colour="var(--data-pass)">passed</Key>
          <Key colour="var(--data-drop)">dropped</Key>
          {controls}
        </>
      }
    >
      {seconds.every(({ passedPps }) => passedPps === null) ? (
        <div className="grid h-[220px] place-items-center border-y border-line text-ink-2">
          Nothing was reported in the last quarter of an hour.
        </div>
      ) : (
        <TimeChart
          label={`Packets per second on ${node.name} in the last quarter of an hour, passed and dropped.`}
          at={seconds.map(({ at }) => at)}
          lines={[
            { name: "passed", colour: "--data-pass", fill: 0.16, values: seconds.map(({ passedPps }) => passedPps) },
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
          window={{ from: to - NODE_WINDOW_SECONDS, to }}
          bands={node.incidents.map(({ startedAt, endedAt }) => ({
            from: startedAt.getTime() / 1000,
            to: endedAt ? endedAt.getTime() / 1000 : to,
          }))}
          height={220}
        />
      )}
    </Section>
  );
}
