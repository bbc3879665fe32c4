import { Bell, Gauge, ListTree, type LucideIcon, ScrollText, Siren } from "lucide-react";

export type Place = { name: string; path: string; icon: LucideIcon };

/** Where one can go, in the order of the rail. `path` is below `/{workspace}`. */
export const PLACES: readonly Place[] = [
  { name: "Overview", path: "", icon: Gauge },
  { name: "Incidents", path: "/incidents", icon: Siren },
  { name: "Nodes", path: "/nodes", icon: ListTree },
  { name: "Policies", path: "/policies", icon: ScrollText },
  { name: "Alerts", path: "/alerts", icon: Bell },
];

/** The place that a path belongs to, and what follows it. */
export function placeOf(pathname: string, base: string): { place: Place | undefined; rest: string | undefined } {
  const below = pathname.slice(base.length);
  const [, first = "", rest] = below.split("/");
  return { place: PLACES.find(({ path }) => path === (first && `/${first}`)), rest };
}
