"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useMemo } from "react";
import { useTRPC } from "../../trpc.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead } from "../../ui/Page.tsx";
import { SkeletonBlock, SkeletonRows } from "../../ui/States.tsx";
import { secondsOf } from "../live/traffic.ts";
import { useLatest, useTraffic } from "../live/useTraffic.ts";
import { Evidence, PacketProfile, Tunnels } from "./Evidence.tsx";
import type { IncidentFacts, IncidentSecond } from "./facts.ts";
import { IncidentFigures, Running, Sentence } from "./Headline.tsx";
import { IncidentChart } from "./IncidentChart.tsx";
import { SeverityMark } from "./Marks.tsx";
import { Acknowledge, NoteForm } from "./Notes.tsx";
import { Rules } from "./Rules.tsx";
import { Timeline } from "./Timeline.tsx";
import { Told } from "./Told.tsx";
import { SEVERITY_WORDS, targetWords, vectorWords } from "./words.ts";

type Props = { base: string; incidentId: string; mayAct: boolean };

export function IncidentPage({ base, incidentId, mayAct }: Props) {
  const trpc = useTRPC();
  const incident = useQuery(trpc.incident.get.queryOptions({ incidentId }));
  const series = useQuery(trpc.incident.series.queryOptions({ incidentId }));
  const history = useMemo(() => series.data && secondsOf(series.data), [series.data]);
  return (
    <Loaded
      query={incident}
      what="Incident"
      skeleton={
        <>
          <SkeletonBlock height={92} label="Loading the incident" />
          <SkeletonBlock height={240} label="Loading its chart" />
          <SkeletonRows label="Loading its timeline" />
        </>
      }
    >
      {(facts) => <Incident base={base} incident={facts} history={history} mayAct={mayAct} />}
    </Loaded>
  );
}

const NOTHING: readonly IncidentSecond[] = [];

/** An attack as long as this is refreshed live; what lies further back comes from the server. */
const LIVE_SECONDS = 3600;

function Incident({
  base,
  incident,
  history = NOTHING,
  mayAct,
}: {
  base: string;
  incident: IncidentFacts;
  history?: readonly IncidentSecond[];
  mayAct: boolean;
}) {
  const open = incident.status === "open";
  const latest = useLatest().get(incident.nodeId);
  const live = useTraffic(history, LIVE_SECONDS, incident.nodeId);
  const seconds = useMemo<readonly IncidentSecond[]>(() => {
    if (!open) return history;
    const tunnels = new Map(history.map((second) => [second.at, second.tunnels]));
    return live.map((second) => ({ ...second, tunnels: tunnels.get(second.at) ?? null }));
  }, [open, history, live]);
  const protocol = useProtocol(incident);
  const lane = useAttackedLane(incident);
  const nowTunnels = latest?.tunnels ?? history.findLast(({ tunnels }) => tunnels !== null)?.tunnels ?? null;
  return (
    <>
      <PageHead
        title={
          <>
            {vectorWords(incident.vector)} on{" "}
            <Link href={`${base}/nodes/${incident.nodeId}`} className="whitespace-nowrap hover:underline">
              {incident.nodeName}
            </Link>
            , {targetWords({ ...incident, protocol })}
          </>
        }
        actions={<Acknowledge incident={incident} may={mayAct} />}
      >
        <Sentence incident={incident} />
        <p className="mt-1 text-sm text-ink-3">
          <SeverityMark severity={incident.severity} open={open} />
          {SEVERITY_WORDS[incident.severity]} severity, <Running incident={incident} />
        </p>
      </PageHead>
      <IncidentFigures incident={incident} now={{ tunnels: nowTunnels, lane }} />
      <IncidentChart incident={incident} seconds={seconds} />
      <div className="grid gap-x-8 md:grid-cols-2">
        <Timeline entries={incident.timeline} />
        <div className="min-w-0">
          <Evidence incident={incident} />
          <Tunnels incident={incident} seconds={seconds} />
          <Told incident={incident} />
        </div>
      </div>
      <Rules incident={incident} />
      <PacketProfile incident={incident} />
      <NoteForm incidentId={incident.id} may={mayAct} />
    </>
  );
}

/** The protocol of the attacked port, as its node declares it. */
function useProtocol({ nodeId, port, transport }: IncidentFacts): string | undefined {
  const trpc = useTRPC();
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 })).data?.items;
  const ports = nodes?.find(({ id }) => id === nodeId)?.ports;
  return ports?.find((declared) => declared.port === port && declared.transport === transport)?.protocol;
}

/** The attacked lane in the newest second, while the attack runs. */
function useAttackedLane({ nodeId, lane, status }: IncidentFacts) {
  const trpc = useTRPC();
  const open = status === "open";
  const { data } = useQuery(trpc.traffic.lanes.queryOptions({ nodeId }, { enabled: open, refetchInterval: 2000 }));
  return (open && data?.lanes.find((second) => second.lane === lane)) || null;
}
