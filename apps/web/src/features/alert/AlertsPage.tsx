"use client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTRPC } from "../../trpc.ts";
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
import { AddChannel } from "./AddChannel.tsx";
import { KIND_WORDS } from "./kinds.ts";

export type ChannelRow = { id: string; kind: string; name: string; enabled: boolean; target: string };

export type DeliveryRow = {
  id: string;
  incidentId: string;
  channelName: string;
  transition: string;
  status: "pending" | "delivered" | "failed";
  attempts: number;
  latencyMs: number | null;
  response: string | null;
  createdAt: Date;
};

export function AlertsPage({ base, mayChange }: { base: string; mayChange: boolean }) {
  const trpc = useTRPC();
  const channels = useQuery(trpc.channel.list.queryOptions());
  const deliveries = useQuery(trpc.channel.deliveries.queryOptions(undefined, { refetchInterval: 10_000 }));
  const [adding, setAdding] = useState(false);
  const add = (
    <Button look="primary" because={mayChange ? undefined : "Adding channels takes the role admin"} onClick={() => setAdding(true)}>
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
                  <Channel key={row.id} channel={row} may={mayChange} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Section>
      <Section title="Delivery log" aside="from the moment of the event to the receiver's answer">
        <Loaded query={deliveries} what="Delivery log" skeleton={<SkeletonRows label="Loading deliveries" />}>
          {(rows) =>
            rows.length === 0 ? (
              <p className="text-ink-2">Nothing has been sent yet.</p>
            ) : (
              <Table caption="Deliveries, newest first" columns={columns} rows={rows} rowKey={({ id }) => id} href={({ incidentId }) => `${base}/incidents/${incidentId}`} />
            )
          }
        </Loaded>
      </Section>
      <Dialog open={adding} onClose={() => setAdding(false)} title="Add a channel">
        <AddChannel onClose={() => setAdding(false)} />
      </Dialog>
    </>
  );
}

function Channel({ channel, may }: { channel: ChannelRow; may: boolean }) {
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [removing, setRemoving] = useState(false);
  const test = useMutation(trpc.channel.test.mutationOptions());
  const remove = useMutation(
    trpc.channel.remove.mutationOptions({ onSuccess: () => queries.invalidateQueries(trpc.channel.pathFilter()) }),
  );
  const because = may ? undefined : "This takes the role admin";
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line py-2.5">
      <span className="min-w-0 flex-1 basis-52">
        <span className="font-[550]">{channel.name}</span> <span className="text-ink-3">{KIND_WORDS[channel.kind] ?? channel.kind}</span>
        <span className="block truncate text-sm text-ink-2">{channel.target}</span>
      </span>
      <span role="status" className="text-sm">
        {test.isPending && <span className="text-ink-2">Sending…</span>}
        {test.data && (test.data.delivered ? <Chip tone="ok">delivered in {duration(test.data.latencyMs)}</Chip> : <span className="text-critical">{test.data.reason}</span>)}
        {(test.error ?? remove.error) && <span className="text-critical">{(test.error ?? remove.error)?.message}</span>}
      </span>
      <span className="flex gap-2">
        <Button because={because} disabled={test.isPending} onClick={() => test.mutate({ channelId: channel.id })}>
          Send a test
        </Button>
        <Button look="danger" because={because} onClick={() => setRemoving(true)}>
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

const TRANSITION_WORDS: Record<string, string> = {
  opened: "Attack begun",
  classified: "Classified",
  ended: "Attack over",
  acknowledged: "Acknowledged",
};

const columns: Column<DeliveryRow>[] = [
  { key: "what", head: "What", cell: ({ transition }) => TRANSITION_WORDS[transition] ?? transition },
  { key: "channel", head: "Channel", cell: ({ channelName }) => channelName },
  {
    key: "status",
    head: "State",
    cell: ({ status, response, attempts }) => (
      <Chip tone={status === "delivered" ? "ok" : status === "failed" ? "critical" : "neutral"} title={response ?? undefined}>
        {status === "pending" && attempts > 0 ? `attempt ${attempts} failed, trying again` : status}
      </Chip>
    ),
  },
  { key: "latency", head: "Latency", right: true, phone: "after", cell: ({ latencyMs }) => <Known value={latencyMs} show={duration} /> },
  { key: "when", head: "When", right: true, cell: ({ createdAt }) => <Ago at={createdAt} /> },
];
