"use client";
import { Mode } from "@flowtriq/protocol/policy";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Outputs, useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { cn } from "../../ui/cn.ts";
import { TextArea, TextField } from "../../ui/Field.tsx";
import { plural } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { MODE_WORDS } from "../incident/words.ts";
import { type Draft, draftOf, read } from "./draft.ts";
import { MODE_MEANS } from "./sentences.ts";

/** A draft of the next revision, made from the one in force. */
export function PolicyForm({ facts, may }: { facts: Outputs["policy"]["get"]; may: boolean }) {
  const { policy, revision, nodes } = facts;
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [draft, setDraft] = useState(() => draftOf(policy));
  const update = useMutation(
    trpc.policy.update.mutationOptions({ onSuccess: () => queries.invalidateQueries(trpc.policy.pathFilter()) }),
  );
  const result = read(draft, policy);
  const errors = "errors" in result ? result.errors : {};
  const clean = draftOf(policy);
  const changed = (Object.keys(draft) as (keyof Draft)[]).some((field) => draft[field] !== clean[field]);
  const change = (part: Partial<Draft>) => {
    update.reset();
    setDraft((was) => ({ ...was, ...part }));
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    if ("policy" in result) update.mutate({ policy: result.policy, basedOn: revision });
  };
  return (
    <form onSubmit={save} className="max-w-[720px]">
      <Section title="When an attack is met">
        <fieldset className="border-t border-line">
          <legend className="sr-only">Mode</legend>
          {Mode.options.map((mode) => (
            <label
              key={mode}
              className={cn(
                "flex gap-3 border-b border-line px-1 py-3 has-focus-visible:outline-2 has-focus-visible:outline-accent",
                draft.mode === mode ? "text-ink" : "text-ink-2",
              )}
            >
              <input
                type="radio"
                name="mode"
                value={mode}
                checked={draft.mode === mode}
                disabled={!may}
                onChange={() => change({ mode })}
                className="mt-[3px] size-3.5 accent-accent"
              />
              <span>
                <span className="block font-[550]">{MODE_WORDS[mode]}</span>
                <span className="block text-sm text-ink-2">{MODE_MEANS[mode]}</span>
              </span>
            </label>
          ))}
        </fieldset>
      </Section>
      <Section title="What counts as one">
        <div className="grid gap-5 md:grid-cols-2">
          <TextField
            label="Sensitivity"
            inputMode="decimal"
            value={draft.sensitivity}
            readOnly={!may}
            onChange={(event) => change({ sensitivity: event.target.value })}
            error={errors.sensitivity}
            hint="A lane is under attack above this many times its usual traffic. 1.5 to 100; lower notices more."
          />
          <TextField
            label="Quiet seconds"
            inputMode="numeric"
            value={draft.quietSeconds}
            readOnly={!may}
            onChange={(event) => change({ quietSeconds: event.target.value })}
            error={errors.quietSeconds}
            hint="An attack is over when its lane has been calm for this long. 5 to 600."
          />
        </div>
      </Section>
      <Section title="Never blocked">
        <TextArea
          label={<span className="sr-only">Addresses and prefixes that are never blocked</span>}
          rows={5}
          spellCheck={false}
          className="font-mono text-xs leading-5"
          value={draft.neverBlock}
          readOnly={!may}
          onChange={(event) => change({ neverBlock: event.target.value })}
          error={errors.neverBlock}
          hint="Addresses and prefixes, one a line, such as 192.0.2.0/24 or 2001:db8::53: management networks, resolvers, monitoring. Whatever they send passes."
        />
      </Section>
      <div className="mt-6 flex flex-wrap items-center gap-3">
        <Button
          type="submit"
          look="primary"
          because={
            !may
              ? "Changing a policy takes the role admin"
              : !changed
                ? "Nothing has changed"
                : "errors" in result
                  ? "Some values are not valid"
                  : undefined
          }
          disabled={update.isPending}
        >
          Save for {nodes === 1 ? "the node" : plural(nodes, "node")}
        </Button>
        {changed && may && (
          <Button look="quiet" onClick={() => change(clean)}>
            Discard
          </Button>
        )}
        <p role="status" className="text-sm text-ink-2">
          {update.isSuccess && !changed && "Saved. Connected nodes take it within a second or two."}
        </p>
        {update.error && (
          <p role="alert" className="text-sm text-critical">
            {update.error.message}
          </p>
        )}
      </div>
    </form>
  );
}
