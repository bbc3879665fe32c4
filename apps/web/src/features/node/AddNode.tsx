"use client";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Check } from "lucide-react";
import Link from "next/link";
import { type FormEvent, useRef } from "react";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { CopyText } from "../../ui/CopyText.tsx";
import { Dialog } from "../../ui/Dialog.tsx";
import { TextField } from "../../ui/Field.tsx";
import { minuteUtc, plural } from "../../ui/format.ts";
import { useLatest } from "../live/useTraffic.ts";

type Props = { base: string; open: boolean; onClose: () => void };

export const AddNode = ({ base, open, onClose }: Props) => (
  <Dialog open={open} onClose={onClose} title="Add a node" className="w-[min(680px,calc(100vw-24px))]">
    <Steps base={base} onClose={onClose} />
  </Dialog>
);

function Steps({ base, onClose }: Omit<Props, "open">) {
  const trpc = useTRPC();
  const token = useMutation(trpc.node.createEnrolmentToken.mutationOptions());
  const create = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    token.mutate({
      label: text("pop") || "Added in the dashboard",
      pop: text("pop") || undefined,
      region: text("region") || undefined,
    });
  };
  if (token.data)
    return (
      <>
        <p className="mb-3 text-ink-2">
          Run this as root on the concentrator. It works in observe mode until a policy says otherwise.
        </p>
        <CopyText label="Command that adds a node" text={token.data.command} />
        <p className="mt-2 text-xs text-ink-3">
          The token is shown once and is good until {minuteUtc(token.data.expiresAt)}.
        </p>
        <Waiting base={base} />
      </>
    );
  return (
    <form onSubmit={create}>
      <div className="grid gap-4 md:grid-cols-2">
        <TextField
          name="pop"
          label="PoP"
          hint="Where it stands, such as Frankfurt. Optional."
          maxLength={64}
          autoFocus
        />
        <TextField name="region" label="Region" hint="Optional." maxLength={64} />
      </div>
      {token.error && (
        <p role="alert" className="mt-3 text-sm text-critical">
          {token.error.message}
        </p>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={token.isPending}>
          Create the command
        </Button>
      </div>
    </form>
  );
}

/** Turns by itself: the live stream says that a node is new and when it first reports. */
function Waiting({ base }: Pick<Props, "base">) {
  const trpc = useTRPC();
  const latest = useLatest();
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 }, { refetchInterval: 5_000 })).data?.items;
  const before = useRef<Set<string>>(undefined);
  if (nodes && !before.current) before.current = new Set(nodes.map(({ id }) => id));
  const fresh = nodes?.filter(({ id }) => !before.current?.has(id)) ?? [];
  const reporting = fresh.filter(({ id, lastSeenAt }) => lastSeenAt !== null || latest.has(id));
  return (
    <div role="status" className="mt-5 border-t border-line pt-4">
      {reporting.length > 0 ? (
        <div className="flex flex-wrap items-center gap-3">
          <span className="grid size-6 place-items-center rounded-full bg-ok-soft text-ok">
            <Check size={14} aria-hidden="true" />
          </span>
          <span className="flex-1">
            {reporting.length === 1 ? (
              <>
                <b className="font-[600]">{reporting[0]?.name}</b> reports.
              </>
            ) : (
              `${plural(reporting.length, "node")} report.`
            )}
          </span>
          <Button asChild look="primary">
            <Link href={reporting.length === 1 ? `${base}/nodes/${reporting[0]?.id}` : `${base}/nodes`}>Show it</Link>
          </Button>
        </div>
      ) : (
        <p className="flex items-center gap-3 text-ink-2">
          <i aria-hidden="true" className="size-2 motion-safe:animate-pulse rounded-full bg-accent" />
          {fresh.length > 0
            ? `${fresh[0]?.name} has enrolled; waiting for its first report.`
            : "Waiting for your node."}
        </p>
      )}
    </div>
  );
}
