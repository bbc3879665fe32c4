"use client";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Outputs, useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { Chip } from "../../ui/Chip.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { duration } from "../../ui/format.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead, Section } from "../../ui/Page.tsx";
import { Empty, SkeletonRows } from "../../ui/States.tsx";
import { type Column, Table } from "../../ui/Table.tsx";
import { Ago } from "../../ui/Time.tsx";
import { Known } from "../incident/Marks.tsx";
import { TRANSITION_WORDS, vectorWords } from "../incident/words.ts";
import { AddChannel } from "./AddChannel.tsx";
import { KIND_WORDS } from "./kinds.ts";

type ChannelRow = Outputs["channel"]["list"][number];
type DeliveryRow = Outputs["channel"]["deliveries"]["items"][number];

export function AlertsPage({ base, mayChange, mayTest }: { base: string; mayChange: boolean; mayTest: boolean }) {
  const trpc = useTRPC();
  const channels = useQuery(trpc.channel.list.queryOptions());
  const deliveries = useInfiniteQuery(
    trpc.channel.deliveries.infiniteQueryOptions(
      { limit: 50 },
      { getNextPageParam: (page) => page.nextCursor ?? undefined, refetchInterval: 5_000 },
    ),
  );
  const rows = deliveries.data?.pages.flatMap(({ items }) => items);
  const [adding, setAdding] = useState(false);
  const add = (
    <Button
      look="primary"
      because={mayChange ? undefined : "Adding channels takes the role admin"}
      onClick={() => setAdding(true)}
    >
      Add channel
    </Button>
  );
  return (
    <>
      <PageHead title="Alerts" actions={add}>
        Each channel is told when an attack begins, is classified and is over.
      </PageHead>
      <Section title="Channels" className="mt-5">
        <Loaded query={channels} what="Channels" skeleton={<SkeletonRows rows={3} label="Loading channels" />}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty title="Nobody is told yet" actions={add}>
                A channel is where alerts go: a Slack channel or a signed webhook of yours.
              </Empty>
            ) : (
              <ul className="border-t border-line">
                {rows.map((row) => (
                  <Channel key={row.id} channel={row} mayChange={mayChange} mayTest={mayTest} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Section>
      <Section title="Delivery log" aside="from the moment of the event to the receiver's answer">
        <Loaded
          query={{ ...deliveries, data: rows }}
          what="Delivery log"
          skeleton={<SkeletonRows label="Loading deliveries" />}
        >
          {(rows) =>
            rows.length === 0 ? (
              <p className="text-ink-2">Nothing has been sent yet.</p>
            ) : (
              <Table
                caption="Deliveries, newest first"
                columns={columns}
                rows={rows}
                rowKey={({ id }) => id}
                href={({ incidentId }) => `${base}/incidents/${incidentId}`}
              />
            )
          }
        </Loaded>
        {deliveries.hasNextPage && (
          <Button
            className="mt-4"
            disabled={deliveries.isFetchingNextPage}
            onClick={() => void deliveries.fetchNextPage()}
          >
            Show 50 more
          </Button>
        )}
      </Section>
      <Dialog open={adding} onClose={() => setAdding(false)} title="Add a channel">
        <AddChannel onClose={() => setAdding(false)} />
      </Dialog>
    </>
  );
}

function Channel({ channel, mayChange, mayTest }: { channel: ChannelRow; mayChange: boolean; mayTest: boolean }) {
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const test = useMutation(trpc.channel.test.mutationOptions());
  const remove = useMutation(
    trpc.channel.remove.mutationOptions({ onSuccess: () => queries.invalidateQueries(trpc.channel.pathFilter()) }),
  );
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line py-2.5">
      <span className="min-w-0 flex-1 basis-52">
        <span className="font-[550]">{channel.name}</span>{" "}
        <span className="text-ink-3">{KIND_WORDS[channel.kind]}</span>
        <span className="block truncate text-sm text-ink-2">
          {channel.target ?? "its settings cannot be opened; add it anew"}
        </span>
      </span>
      <span role="status" className="text-sm">
        {test.isSuccess && <span className="text-ink-2">A test message is on its way.</span>}
        {(test.error ?? remove.error) && <span className="text-critical">{(test.error ?? remove.error)?.message}</span>}
      </span>
      <span className="flex gap-2">
        <Button
          because={mayTest ? undefined : "Testing takes the role operator"}
          disabled={test.isPending}
          onClick={() => test.mutate({ channelId: channel.id })}
        >
          Send a test
        </Button>
        <Button
          look="quiet"
          because={mayChange ? undefined : "Removing takes the role admin"}
          onClick={() => setRemoving(true)}
        >
          Remove
        </Button>
      </span>
      <Dialog open={removing} onClose={() => setRemoving(false)} title={`Remove ${channel.name}?`}>
        <p className="text-ink-2">Alerts stop going there at once. Its delivery log goes with it.</p>
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={() => setRemoving(false)}>Keep it</Button>
          <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate({ channelId: channel.id })}>
            Remove
          </Button>
        </div>
      </Dialog>
    </li>
  );
}

const columns: Column<DeliveryRow>[] = [
  {
    key: "what",
    head: "What",
    cell: ({ transition, vector, nodeName }) => (
      <>
        {TRANSITION_WORDS[transition]}:{" "}
        <span className="text-ink-2">
          {vectorWords(vector)}, {nodeName}
        </span>
      </>
    ),
  },
  { key: "channel", head: "Channel", cell: ({ channelName }) => channelName },
  {
    key: "status",
    head: "State",
    cell: ({ status, response, attempts }) => (
      <Chip
        tone={status === "delivered" ? "ok" : status === "failed" ? "critical" : "neutral"}
        title={response ?? undefined}
      >
        {status === "pending" && attempts > 0 ? `attempt ${attempts} failed, trying again` : status}
      </Chip>
    ),
  },
  {
    key: "latency",
    head: "Latency",
    right: true,
    phone: "after",
    cell: ({ latencyMs }) => <Known value={latencyMs} show={duration} word="not yet" />,
  },
  { key: "when", head: "When", right: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
];
