"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { useNow } from "../../ui/clock.ts";
import { Figures } from "../../ui/Figures.tsx";
import { bps, brief, count, duration, plural, pps } from "../../ui/format.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { Key, PageHead, Section } from "../../ui/Page.tsx";
import { Empty, SkeletonBlock, SkeletonRows } from "../../ui/States.tsx";
import { TimeChart } from "../../ui/TimeChart.tsx";
import { Ago } from "../../ui/Time.tsx";
import type { IncidentRow } from "../incident/facts.ts";
import { useChartChoices } from "../incident/IncidentChart.tsx";
import { IncidentTable } from "../incident/IncidentTable.tsx";
import { Known } from "../incident/Marks.tsx";
import type { Second } from "../live/traffic.ts";
import { type NodeNow, useLatest, useTraffic } from "../live/useTraffic.ts";
import { type NodeRow, stateOf } from "../node/facts.ts";
import { PopGrid } from "../node/PopGrid.tsx";

export type OverviewFacts = {
  nodes: readonly NodeRow[];
  /** Open ones first, then the latest. */
  incidents: readonly IncidentRow[];
  attacks30d: number;
  /** Null when for none of them anybody could tell. */
  disconnected30d: number | null;
  attacks24h: number;
  dropped24h: number;
  medianFirstDropMs: number | null;
  p95FirstDropMs: number | null;
  traffic: readonly Second[];
};

const WINDOW_SECONDS = 300;

export function OverviewPage({ base }: { base: string }) {
  const trpc = useTRPC();
  const query = useQuery(trpc.overview.get.queryOptions());
  return (
    <Loaded
      query={query}
      what="Overview"
      skeleton={
        <>
          <SkeletonBlock height={92} label="Loading the state" />
          <SkeletonBlock height={240} label="Loading traffic" />
          <SkeletonRows label="Loading incidents" />
        </>
      }
    >
      {(facts) => <Overview base={base} facts={facts} />}
    </Loaded>
  );
}

function Overview({ base, facts }: { base: string; facts: OverviewFacts }) {
  const latest = useLatest();
  if (facts.nodes.length === 0)
    return (
      <Empty
        title="No node is protected yet"
        actions={
          <Button asChild look="primary">
            <Link href={`${base}/nodes?add=true`}>Add your first node</Link>
          </Button>
        }
      >
        A node is one VPN concentrator. One command installs the agent on it; this page begins to move with its first report.
      </Empty>
    );
  return (
    <>
      <PageHead
        title={<Status facts={facts} latest={latest} />}
        actions={
          <Button asChild look="primary">
            <Link href={`${base}/nodes?add=true`}>Add nodes</Link>
          </Button>
        }
      >
        <Proof facts={facts} base={base} />
      </PageHead>
      <Now facts={facts} latest={latest} />
      <Traffic facts={facts} />
      <PopGrid base={base} nodes={facts.nodes} latest={latest} />
      <Section
        title="Latest incidents"
        aside={
          facts.incidents.length > 0 && (
            <Link href={`${base}/incidents`} className="hover:text-ink">
              all incidents
            </Link>
          )
        }
      >
        {facts.incidents.length === 0 ? (
          <p className="text-ink-2">None yet. When a node meets an attack, it appears here within a second.</p>
        ) : (
          <IncidentTable base={base} rows={facts.incidents} caption="Latest incidents" />
        )}
      </Section>
    </>
  );
}

/** The answer to "is anything wrong?". */
function Status({ facts, latest }: { facts: OverviewFacts; latest: ReadonlyMap<string, NodeNow> }) {
  const now = useNow();
  const attacked = new Set(facts.incidents.filter(({ status }) => status === "open").map(({ nodeId }) => nodeId));
  const { nodes } = facts;
  const states = nodes.map((node) => stateOf(node, now, latest.get(node.id)?.at));
  const silent = states.filter((state) => state === "silent").length;
  const look = states.filter((state) => state === "look").length;
  const first =
    attacked.size === 0
      ? "No attack now."
      : attacked.size === 1
        ? `${nodes.find(({ id }) => attacked.has(id))?.name ?? "One node"} is under attack.`
        : `${attacked.size} nodes are under attack.`;
  const of = (n: number) => (nodes.length === 1 ? "The node" : `${n === 1 ? "One" : count(n)} of ${plural(nodes.length, "node")}`);
  const second =
    silent > 0
      ? `${of(silent)} ${silent === 1 ? "is" : "are"} silent.`
      : look > 0
        ? `${of(look)} ${look === 1 ? "needs" : "need"} a look.`
        : nodes.length === 1
          ? "The node reports."
          : `All ${count(nodes.length)} nodes report.`;
  return (
    <span suppressHydrationWarning>
      {first} {second}
    </span>
  );
}

function Proof({ facts, base }: { facts: OverviewFacts; base: string }) {
  const last = facts.incidents[0];
  if (!last) return <p>No attack has been met yet. Detection runs on the nodes, with or without this page.</p>;
  const ms = last.timeToFirstDropMs;
  return (
    <p>
      Last attack <Ago at={last.startedAt} /> on{" "}
      <Link href={`${base}/incidents/${last.id}`} className="hover:underline">
        <b>{last.nodeName}</b>
      </Link>
      {ms === null ? (
        ", "
      ) : (
        <>
          , dropped in <b>{duration(ms)}</b>.{" "}
        </>
      )}
      {ms === null && (last.mode === "observe" ? "observed only. " : "not dropped. ")}
      In 30 days <b>{count(facts.attacks30d)}</b> {facts.attacks30d === 1 ? "attack was" : "attacks were"} met and{" "}
      {facts.disconnected30d === null ? (
        "whether users were disconnected is unknown."
      ) : (
        <>
          <b>{count(facts.disconnected30d)}</b> {facts.disconnected30d === 1 ? "user" : "users"} disconnected by them.
        </>
      )}
    </p>
  );
}

function Now({ facts, latest }: { facts: OverviewFacts; latest: ReadonlyMap<string, NodeNow> }) {
  const now = [...latest.values()];
  const tunnels = facts.nodes.flatMap((node) => latest.get(node.id)?.tunnels ?? node.tunnels ?? []);
  const last = facts.traffic.at(-1);
  const nowPps = now.length > 0 ? now.reduce((sum, node) => sum + node.pps, 0) : last ? (last.passedPps ?? 0) + (last.droppedPps ?? 0) : null;
  return (
    <Figures
      figures={[
        {
          label: "Tunnels up now",
          value: <Known value={tunnels.length > 0 ? tunnels.reduce((a, b) => a + b, 0) : null} show={count} />,
          note: tunnels.length < facts.nodes.length ? `on ${tunnels.length} of ${plural(facts.nodes.length, "node")}` : undefined,
        },
        {
          label: "Traffic now",
          value: <Known value={nowPps} show={pps} />,
          note: now.length > 0 ? bps(now.reduce((sum, node) => sum + node.bps, 0)) : undefined,
          exact: nowPps === null ? undefined : `${count(nowPps)} packets per second`,
        },
        {
          label: "Dropped, 24 h",
          value: brief(facts.dropped24h),
          note: `packets, ${facts.attacks24h === 1 ? "1 attack" : `${count(facts.attacks24h)} attacks`}`,
          exact: `${count(facts.dropped24h)} packets`,
        },
        {
          label: "Median to first drop",
          value: facts.medianFirstDropMs === null ? <span className="text-ink-3">none yet</span> : duration(facts.medianFirstDropMs),
          note: facts.p95FirstDropMs === null ? undefined : `p95 ${duration(facts.p95FirstDropMs)}`,
        },
      ]}
    />
  );
}

function Traffic({ facts }: { facts: OverviewFacts }) {
  const seconds = useTraffic(facts.traffic, WINDOW_SECONDS);
  const { scale, asTable, controls } = useChartChoices("linear");
  const to = seconds.at(-1)?.at ?? 0;
  const from = to - WINDOW_SECONDS;
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
      {seconds.length === 0 ? (
        <div className="grid h-[200px] place-items-center border-y border-line text-ink-2">Waiting for the first report of a node.</div>
      ) : (
        <TimeChart
          label="Packets per second of all nodes in the last five minutes, passed and dropped."
          at={seconds.map(({ at }) => at)}
          lines={[
            { name: "passed", colour: "--data-pass", fill: 0.16, values: seconds.map(({ passedPps }) => passedPps) },
            { name: "dropped", colour: "--data-drop", fill: scale === "log" ? 0.16 : 0.8, on: 0, values: seconds.map(({ droppedPps }) => droppedPps) },
          ]}
          format={pps}
          scale={scale}
          asTable={asTable}
          window={{ from, to }}
          bands={facts.incidents.map(({ startedAt, endedAt }) => ({
            from: startedAt.getTime() / 1000,
            to: endedAt ? endedAt.getTime() / 1000 : to,
          }))}
          height={200}
        />
      )}
    </Section>
  );
}
