"use client";
import { useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { type ReactNode, useEffect, useState } from "react";
import { useTRPC } from "../../trpc.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { Ago } from "../../ui/Time.tsx";
import { vectorWords } from "../incident/words.ts";
import { PLACES } from "./places.ts";

/** Ctrl/Cmd K: any place, node or recent incident by a few letters. */
export function JumpMenu({ base }: { base: string }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setOpen((was) => !was);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  return (
    <>
      <button
        type="button"
        onClick={() => setOpen(true)}
        className="flex h-8 items-center gap-4 rounded-md border border-line bg-surface px-2.5 text-ink-3 hover:border-line-strong max-md:size-10 max-md:justify-center max-md:border-0 max-md:bg-transparent max-md:p-0"
      >
        <Search size={16} aria-hidden="true" className="text-ink-2 md:hidden" />
        <span className="max-md:sr-only">Search or jump to…</span>
        <kbd className="font-sans text-xs max-md:hidden">Ctrl K</kbd>
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Search or jump to" bare>
        <Choices base={base} onChosen={() => setOpen(false)} />
      </Dialog>
    </>
  );
}

function Choices({ base, onChosen }: { base: string; onChosen: () => void }) {
  const trpc = useTRPC();
  const router = useRouter();
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 })).data?.items ?? [];
  const incidents = useQuery(trpc.incident.list.queryOptions({ limit: 20 })).data?.items ?? [];
  const go = (path: string) => {
    onChosen();
    router.push(base + path);
  };
  return (
    <Command label="Search or jump to" loop>
      <Command.Input
        placeholder="Search or jump to…"
        className="h-12 w-full border-b border-line bg-transparent px-4 text-lg outline-none placeholder:text-ink-3"
      />
      <Command.List className="max-h-[50vh] overflow-y-auto p-2">
        <Command.Empty className="px-2.5 py-6 text-ink-2">Nothing by that name.</Command.Empty>
        <Group heading="Go to">
          {PLACES.map(({ name, path }) => (
            <Item key={name} value={name} onSelect={() => go(path)}>
              {name}
            </Item>
          ))}
        </Group>
        <Group heading="Nodes">
          {nodes.slice(0, 200).map(({ id, name, pop }) => (
            <Item key={id} value={`${name} ${id}`} onSelect={() => go(`/nodes/${id}`)}>
              {name}
              {pop && <span className="text-ink-3">{pop}</span>}
            </Item>
          ))}
        </Group>
        <Group heading="Recent incidents">
          {incidents.map(({ id, vector, nodeName, startedAt }) => (
            <Item key={id} value={`${vectorWords(vector)} ${nodeName} ${id}`} onSelect={() => go(`/incidents/${id}`)}>
              {vectorWords(vector)}, {nodeName}
              <span className="text-ink-3">
                <Ago at={startedAt} />
              </span>
            </Item>
          ))}
        </Group>
      </Command.List>
    </Command>
  );
}

const Group = ({ heading, children }: { heading: string; children: ReactNode }) => (
  <Command.Group
    heading={heading}
    className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-ink-3"
  >
    {children}
  </Command.Group>
);

const Item = ({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) => (
  <Command.Item
    value={value}
    onSelect={onSelect}
    className="flex cursor-pointer items-center justify-between gap-4 rounded-[4px] px-2.5 py-1.5 data-[selected=true]:bg-sunken"
  >
    {children}
  </Command.Item>
);
