"use client";
import { useQuery } from "@tanstack/react-query";
import { parseAsBoolean, useQueryState } from "nuqs";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { useNow } from "../../ui/clock.ts";
import { count, plural, pps } from "../../ui/format.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead } from "../../ui/Page.tsx";
import { Empty, SkeletonRows } from "../../ui/States.tsx";
import { type Column, Table } from "../../ui/Table.tsx";
import { Ago } from "../../ui/Time.tsx";
import { Known } from "../incident/Marks.tsx";
import { MODE_WORDS } from "../incident/words.ts";
import { useLatest } from "../live/useTraffic.ts";
import { AddNode } from "./AddNode.tsx";
import { type NodeRow, stateOf } from "./facts.ts";
import { NodeStateWords } from "./NodeMark.tsx";

export function NodeList({ base, mayEnrol }: { base: string; mayEnrol: boolean }) {
  const trpc = useTRPC();
  const query = useQuery(trpc.node.list.queryOptions({ limit: 1000 }));
  const wantedRevision = useQuery(trpc.policy.get.queryOptions()).data?.revision;
  const [adding, setAdding] = useQueryState("add", parseAsBoolean.withDefault(false));
  const latest = useLatest();
  const now = useNow();
  const columns: Column<NodeRow>[] = [
    {
      key: "name",
      head: "Node",
      cell: ({ name, hostname }) => (
        <>
          {name} {hostname !== name && <small className="text-xs text-ink-3">{hostname}</small>}
        </>
      ),
    },
    {
      key: "state",
      head: "State",
      cell: (node) => <NodeStateWords state={stateOf(node, now, latest.get(node.id)?.at)} />,
    },
    {
      key: "pop",
      head: "PoP",
      cell: ({ pop, region }) => <span className="text-ink-2">{[pop, region].filter(Boolean).join(", ") || "–"}</span>,
    },
    {
      key: "mode",
      head: "Mode",
      cell: ({ mode }) => <Known value={mode} show={(value) => MODE_WORDS[value]} />,
    },
    {
      key: "policy",
      head: "Policy",
      cell: ({ appliedRevision, policyError }) =>
        policyError !== null ? (
          <span className="text-high" title={policyError}>
            refused
          </span>
        ) : wantedRevision === undefined || appliedRevision === wantedRevision ? (
          <span className="text-ink-2">revision {appliedRevision}</span>
        ) : (
          <span className="text-high">
            {appliedRevision}, wants {wantedRevision}
          </span>
        ),
    },
    {
      key: "tunnels",
      head: "Tunnels",
      right: true,
      phone: "tunnels",
      cell: ({ id, tunnels }) => <Known value={latest.get(id)?.tunnels ?? tunnels} show={count} />,
    },
    {
      key: "traffic",
      head: "Traffic",
      right: true,
      className: "min-w-[88px]",
      cell: ({ id }) => {
        const seen = latest.get(id);
        return seen ? (
          <span title={`${count(seen.pps)} packets per second`}>{pps(seen.pps)}</span>
        ) : (
          <span className="text-ink-3">–</span>
        );
      },
    },
    { key: "version", head: "Agent", cell: ({ version }) => <span className="text-ink-2">{version}</span> },
    {
      key: "seen",
      head: "Heard",
      right: true,
      cell: ({ id, lastSeenAt }) => {
        const heard = latest.get(id)?.at;
        const at = heard ? new Date(heard) : lastSeenAt;
        return at ? <Ago at={at} /> : <span className="text-ink-3">never</span>;
      },
    },
  ];
  const add = (
    <Button
      look="primary"
      because={mayEnrol ? undefined : "Adding nodes takes the role admin"}
      onClick={() => void setAdding(true)}
    >
      Add node
    </Button>
  );
  return (
    <>
      <PageHead title="Nodes" actions={add}>
        {query.data &&
          query.data.items.length > 0 &&
          `${plural(query.data.items.length, "node").replace(/^one/, "One")}, each one VPN concentrator.`}
      </PageHead>
      <div className="mt-4">
        <Loaded query={query} what="Nodes" skeleton={<SkeletonRows rows={8} label="Loading nodes" />}>
          {({ items: nodes }) =>
            nodes.length === 0 ? (
              <Empty title="No node yet" actions={add}>
                A node is one VPN concentrator with the agent on it. Adding one takes one command there.
              </Empty>
            ) : (
              <div suppressHydrationWarning>
                <Table
                  caption="Nodes"
                  columns={columns}
                  rows={nodes}
                  rowKey={({ id }) => id}
                  href={({ id }) => `${base}/nodes/${id}`}
                />
              </div>
            )
          }
        </Loaded>
      </div>
      <AddNode base={base} open={adding && mayEnrol} onClose={() => void setAdding(null)} />
    </>
  );
}
