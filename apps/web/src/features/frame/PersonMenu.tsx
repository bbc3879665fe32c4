"use client";
import { useQueryClient } from "@tanstack/react-query";
import { DropdownMenu } from "radix-ui";
import { signOutHere } from "../../server/actions.ts";
import { useLive } from "../live/Live.tsx";

type Person = { name: string; email: string; role: string };

const initials = (name: string): string =>
  name
    .split(/\s+/)
    .slice(0, 2)
    .map((part) => [...part][0] ?? "")
    .join("")
    .toUpperCase();

export function PersonMenu({ person }: { person: Person }) {
  const queries = useQueryClient();
  const { pause } = useLive();
  const leave = async () => {
    // Nothing is asked any more with a session that is about to end.
    pause(true);
    await queries.cancelQueries();
    await signOutHere();
  };
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="grid size-7 place-items-center rounded-full bg-accent-soft text-[11px] font-[600] text-accent max-md:size-9">
        <span aria-hidden="true">{initials(person.name)}</span>
        <span className="sr-only">{person.name}, account</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={8}
          className="z-50 w-60 rounded-md border border-line bg-surface p-1 shadow-lg"
        >
          <div className="border-b border-line px-2.5 pt-1.5 pb-2.5">
            <p className="truncate font-[550]">{person.name}</p>
            <p className="truncate text-sm text-ink-2">{person.email}</p>
            <p className="mt-0.5 text-xs text-ink-3">Signed in as {person.role}</p>
          </div>
          <DropdownMenu.Item
            onSelect={() => void leave()}
            className="mt-1 cursor-pointer rounded-[4px] px-2.5 py-1.5 data-highlighted:bg-sunken"
          >
            Sign out
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
