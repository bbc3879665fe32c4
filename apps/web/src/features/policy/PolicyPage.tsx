"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { type Outputs, useTRPC } from "../../trpc.ts";
import { Chip } from "../../ui/Chip.tsx";
import { count } from "../../ui/format.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead, Section } from "../../ui/Page.tsx";
import { SkeletonBlock, SkeletonRows } from "../../ui/States.tsx";
import { type Column, Table } from "../../ui/Table.tsx";
import { Ago } from "../../ui/Time.tsx";
import { Known } from "../incident/Marks.tsx";
import { MODE_WORDS } from "../incident/words.ts";
import type { NodeRow } from "../node/facts.ts";
import { PolicyForm } from "./PolicyForm.tsx";
import { MODE_TITLE } from "./sentences.ts";

export function PolicyPage({ base, mayChange }: { base: string; mayChange: boolean }) {
  const trpc = useTRPC();
  const query = useQuery(trpc.policy.get.queryOptions());
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 }));
  return (
    <Loaded
      query={query}
      what="Policies"
      skeleton={
        <>
          <SkeletonBlock height={64} label="Loading the policy" />
          <SkeletonRows label="Loading its settings" />
        </>
      }
    >
      {(facts) => (
        <>
          <PageHead title={MODE_TITLE[facts.policy.mode]}>
            <Rollout facts={facts} />
          </PageHead>
          <div className="grid gap-x-10 xl:grid-cols-[minmax(0,720px)_minmax(280px,1fr)]">
            {/* A new revision starts a new draft. */}
            <PolicyForm key={facts.revision} facts={facts} may={mayChange} />
            <Section title="Where it is applied" aside={`revision ${facts.revision}`}>
              <Loaded query={nodes} what="Nodes" skeleton={<SkeletonRows rows={4} label="Loading nodes" />}>
                {({ items: rows }) =>
                  rows.length === 0 ? (
                    <p className="text-ink-2">
                      No node yet.{" "}
                      <Link href={`${base}/nodes?add=true`} className="text-accent hover:underline">
                        Add one
                      </Link>
                    </p>
                  ) : (
                    <Table
                      caption="Applied policy by node"
                      columns={columns(facts.revision)}
                      rows={rows}
                      rowKey={({ id }) => id}
                      href={({ id }) => `${base}/nodes/${id}`}
                    />
                  )
                }
              </Loaded>
            </Section>
          </div>
        </>
      )}
    </Loaded>
  );
}

function Rollout({
  facts: { revision, createdAt, createdBy, nodes, applied, refused },
}: {
  facts: Outputs["policy"]["get"];
}) {
  return (
    <p>
      Revision {revision}
      {createdAt && (
        <>
          , saved <Ago at={createdAt} />
          {createdBy && ` by ${createdBy}`}
        </>
      )}
      {nodes > 0 && (
        <>
          , applied on <b>{count(applied)}</b> of <b>{count(nodes)}</b>
        </>
      )}
      {refused > 0 && <span className="text-high">, refused by {count(refused)}</span>}.
    </p>
  );
}

const columns = (wantedRevision: number): Column<NodeRow>[] => [
  { key: "node", head: "Node", cell: ({ name }) => name },
  { key: "mode", head: "Mode", cell: ({ mode }) => <Known value={mode} show={(value) => MODE_WORDS[value]} /> },
  {
    key: "applied",
    head: "Policy",
    right: true,
    cell: ({ appliedRevision, policyError }) =>
      policyError !== null ? (
        <Chip tone="high" title={policyError}>
          refused
        </Chip>
      ) : appliedRevision === wantedRevision ? (
        <Chip tone="ok">applied</Chip>
      ) : (
        <Chip title={`Has revision ${appliedRevision}`}>on {appliedRevision}</Chip>
      ),
  },
];
