"use client";
import type { ChannelKind } from "@flowtriq/services/alert/channels/index";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { CopyText } from "../../ui/CopyText.tsx";
import { Segmented, TextField } from "../../ui/Field.tsx";
import { KIND_WORDS } from "./kinds.ts";

const HINTS: Record<ChannelKind, string> = {
  slack: "The address of an incoming webhook, as Slack shows it.",
  webhook: "An https address of yours. Messages are signed as Standard Webhooks.",
};

/** As Standard Webhooks wants it: 32 random bytes. */
const newSigningSecret = (): string =>
  `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;

export function AddChannel({ onClose }: { onClose: () => void }) {
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [kind, setKind] = useState<ChannelKind>("slack");
  // Made here and shown once: the service keeps it sealed.
  const [secret] = useState(newSigningSecret);
  const add = useMutation(
    trpc.channel.create.mutationOptions({ onSuccess: () => queries.invalidateQueries(trpc.channel.pathFilter()) }),
  );
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const url = String(form.get("url"));
    add.mutate({ kind, name: String(form.get("name")), settings: kind === "webhook" ? { url, secret } : { url } });
  };
  if (add.data?.kind === "webhook")
    return (
      <>
        <p className="mb-3 text-ink-2">
          The channel is added. Your receiver checks messages with this secret; it is shown once.
        </p>
        <CopyText label="Signing secret" text={secret} />
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </>
    );
  if (add.data)
    return (
      <>
        <p className="text-ink-2">The channel is added. Send a test to see a message arrive.</p>
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </>
    );
  return (
    <form onSubmit={submit} className="grid gap-4">
      <Segmented
        label="Kind"
        value={kind}
        onChange={setKind}
        options={(Object.keys(HINTS) as ChannelKind[]).map((value) => ({ value, label: KIND_WORDS[value] }))}
      />
      <TextField
        name="name"
        label="Name"
        required
        maxLength={80}
        placeholder="noc"
        hint="As the delivery log will call it."
      />
      <TextField
        name="url"
        label="Address"
        type="url"
        required
        maxLength={2048}
        hint={HINTS[kind]}
        error={add.error?.message}
      />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={add.isPending}>
          Add channel
        </Button>
      </div>
    </form>
  );
}
