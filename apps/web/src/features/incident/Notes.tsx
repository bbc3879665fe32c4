"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { TextArea } from "../../ui/Field.tsx";
import { Section } from "../../ui/Page.tsx";
import type { IncidentFacts } from "./facts.ts";

export function Acknowledge({ incident, may }: { incident: IncidentFacts; may: boolean }) {
  const trpc = useTRPC();
  const queries = useQueryClient();
  const acknowledge = useMutation(
    trpc.incident.acknowledge.mutationOptions({
      onSettled: () => queries.invalidateQueries(trpc.incident.pathFilter()),
    }),
  );
  if (incident.acknowledgedAt)
    return (
      <Button because={`Acknowledged${incident.acknowledgedBy ? ` by ${incident.acknowledgedBy.name}` : ""}`}>
        Acknowledged
      </Button>
    );
  return (
    <div className="max-md:w-full">
      <Button
        look="primary"
        className="w-full"
        because={may ? undefined : "Acknowledging takes the role operator"}
        disabled={acknowledge.isPending}
        onClick={() => acknowledge.mutate({ incidentId: incident.id })}
      >
        Acknowledge
      </Button>
      {acknowledge.error && (
        <p role="alert" className="mt-1 text-xs text-critical">
          {acknowledge.error.message}
        </p>
      )}
    </div>
  );
}

export function NoteForm({ incidentId, may }: { incidentId: string; may: boolean }) {
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [text, setText] = useState("");
  const note = useMutation(
    trpc.incident.note.mutationOptions({
      onSuccess: () => {
        setText("");
        return queries.invalidateQueries(trpc.incident.pathFilter());
      },
    }),
  );
  const empty = text.trim() === "";
  return (
    <Section title="Add a note">
      <form
        className="max-w-[76ch]"
        onSubmit={(event) => {
          event.preventDefault();
          if (!empty) note.mutate({ incidentId, text });
        }}
      >
        <TextArea
          label={<span className="sr-only">Note</span>}
          hint="It is added to the timeline, with your name."
          rows={2}
          maxLength={2000}
          value={text}
          onChange={(event) => setText(event.target.value)}
          error={note.error?.message}
        />
        <Button
          type="submit"
          className="mt-2"
          because={may ? (empty ? "Write something first" : undefined) : "Notes take the role operator"}
          disabled={note.isPending}
        >
          Add note
        </Button>
      </form>
    </Section>
  );
}
