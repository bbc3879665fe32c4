"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { type Outputs, useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead, Section } from "../../ui/Page.tsx";
import { Empty, SkeletonBlock, SkeletonRows } from "../../ui/States.tsx";
import { IncidentTable } from "../incident/IncidentTable.tsx";
import { useLatest } from "../live/useTraffic.ts";
import { PopGrid } from "../node/PopGrid.tsx";
import { AllTraffic } from "./AllTraffic.tsx";
import { Now, Proof, Status } from "./Status.tsx";

export function OverviewPage({ base }: { base: string }) {
  const trpc = useTRPC();
  const overview = useQuery(trpc.overview.get.queryOptions());
  return (
    <Loaded
      query={overview}
      what="Overview"
      skeleton={
        <>
          <SkeletonBlock height={92} label="Loading the state" />
          <SkeletonBlock height={240} label="Loading traffic" />
          <SkeletonRows label="Loading incidents" />
        </>
      }
    >
      {(facts) => (facts.nodes.total === 0 ? <First base={base} /> : <Overview base={base} facts={facts} />)}
    </Loaded>
  );
}

const First = ({ base }: { base: string }) => (
  <>
    <PageHead title="Nothing is protected yet" />
    <div className="mt-5">
      <Empty
        title="Add your first node"
        actions={
          <Button asChild look="primary">
            <Link href={`${base}/nodes?add=true`}>Add a node</Link>
          </Button>
        }
      >
        A node is one VPN concentrator. One command starts the agent on it, and this page begins to move with its first
        report.
      </Empty>
    </div>
  </>
);

function Overview({ base, facts }: { base: string; facts: Outputs["overview"]["get"] }) {
  const trpc = useTRPC();
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 })).data?.items ?? [];
  const latest = useLatest();
  return (
    <>
      <PageHead
        title={<Status facts={facts} nodes={nodes} latest={latest} />}
        actions={
          <Button asChild look="primary">
            <Link href={`${base}/nodes?add=true`}>Add nodes</Link>
          </Button>
        }
      >
        <Proof facts={facts} base={base} />
      </PageHead>
      <Now facts={facts} latest={latest} />
      <AllTraffic incidents={facts.latestIncidents} />
      <PopGrid base={base} nodes={nodes} latest={latest} />
      <Section
        title="Latest incidents"
        aside={
          facts.latestIncidents.length > 0 && (
            <Link href={`${base}/incidents`} className="hover:text-ink">
              all incidents
            </Link>
          )
        }
      >
        {facts.latestIncidents.length === 0 ? (
          <p className="text-ink-2">None yet. When a node meets an attack, it appears here within a second.</p>
        ) : (
          <IncidentTable base={base} rows={facts.latestIncidents} caption="Latest incidents" />
        )}
      </Section>
    </>
  );
}
