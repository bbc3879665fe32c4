"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { useTRPC } from "../../trpc.ts";
import { count } from "../../ui/format.ts";
import { OPEN } from "./AttackBar.tsx";
import { Mark } from "./Mark.tsx";
import { PLACES, placeOf } from "./places.ts";

type Base = { base: string };

function useHere(base: string) {
  return placeOf(usePathname(), base);
}

function useOpenIncidents(): number {
  const trpc = useTRPC();
  return useQuery(trpc.incident.list.queryOptions(OPEN)).data?.items.length ?? 0;
}

const Open = ({ open }: { open: number }) =>
  open > 0 && (
    <span className="num font-[550] text-critical">
      {count(open)}
      <span className="sr-only"> open</span>
    </span>
  );

export function Rail({
  base,
  workspace,
  brand,
}: Base & { workspace: string; brand: { name: string; logoUrl: string | null } }) {
  const { place } = useHere(base);
  const open = useOpenIncidents();
  return (
    <div className="border-r border-line max-md:hidden">
      <nav aria-label="Main" className="sticky top-0 h-dvh px-2 py-3">
        <Link href={base} className="flex items-center gap-2 rounded-md px-2 pt-1.5 pb-3.5 font-[600]">
          <Mark brand={brand} />
          <span className="truncate">{workspace}</span>
        </Link>
        <ul className="flex flex-col gap-0.5">
          {PLACES.map(({ name, path }) => (
            <li key={name}>
              <Link
                href={base + path}
                aria-current={place?.path === path ? "page" : undefined}
                className="flex justify-between rounded-md px-2 py-1.5 text-ink-2 hover:bg-sunken hover:text-ink aria-[current=page]:bg-sunken aria-[current=page]:font-[550] aria-[current=page]:text-ink"
              >
                {name}
                {name === "Incidents" && <Open open={open} />}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

export function BottomTabs({ base }: Base) {
  const { place } = useHere(base);
  const open = useOpenIncidents();
  return (
    <nav
      aria-label="Main"
      className="fixed inset-x-0 bottom-0 z-30 border-t border-line bg-canvas pb-[env(safe-area-inset-bottom)] md:hidden"
    >
      <ul className="grid grid-cols-5">
        {PLACES.map(({ name, path, icon: Icon }) => (
          <li key={name}>
            <Link
              href={base + path}
              aria-current={place?.path === path ? "page" : undefined}
              className="relative flex h-14 flex-col items-center justify-center gap-0.5 text-[11px] leading-4 text-ink-2 aria-[current=page]:font-[550] aria-[current=page]:text-ink"
            >
              <Icon size={18} aria-hidden="true" />
              {name}
              {name === "Incidents" && open > 0 && (
                <span className="num absolute top-1.5 left-1/2 ml-2 rounded-full bg-critical px-1 text-[10px] leading-[14px] font-[600] text-canvas">
                  {open}
                  <span className="sr-only"> open</span>
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export function Crumbs({ base }: Base) {
  const { place, rest } = useHere(base);
  if (!place) return null;
  if (!rest) return <span>{place.name}</span>;
  return (
    <span className="flex min-w-0 gap-1.5">
      <Link href={base + place.path} className="hover:text-ink">
        {place.name}
      </Link>
      <span aria-hidden="true">/</span>
      <span className="truncate">{rest}</span>
    </span>
  );
}
