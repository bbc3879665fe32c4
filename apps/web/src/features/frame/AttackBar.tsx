"use client";
import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useTRPC } from "../../trpc.ts";
import { count, duration, plural, pps } from "../../ui/format.ts";
import { vectorWords } from "../incident/words.ts";
import { useLatest } from "../live/useTraffic.ts";

/** What the bar and the count beside "Incidents" ask for: one query. */
export const OPEN = { status: "open" as const, limit: 50 };

/** One red line on every page while an attack is open: where, what, and whether it is handled. */
export function AttackBar({ base }: { base: string }) {
  const trpc = useTRPC();
  const open = useQuery(trpc.incident.list.queryOptions(OPEN)).data?.items ?? [];
  const latest = useLatest();
  const [first, ...others] = open;
  if (!first) return null;
  const now = latest.get(first.nodeId);
  const ms = first.timeToFirstDropMs;
  const tunnels = now?.tunnels ?? null;
  const facts = [
    `${pps(now && now.droppedPps > 0 ? now.pps : first.peakPps)} arriving`,
    first.mode === "observe" ? "observed only" : ms === null ? "not mitigated yet" : `mitigated in ${duration(ms)}`,
    tunnels !== null && first.tunnelsBefore !== null
      ? `${count(tunnels)} of ${count(first.tunnelsBefore)} tunnels up`
      : "tunnels unknown",
  ];
  return (
    <div
      role="status"
      className="num sticky top-12 z-20 flex gap-x-4 border-b border-critical/25 bg-critical-soft px-6 py-2 max-md:flex-col max-md:px-4"
    >
      <Link href={`${base}/incidents/${first.id}`} className="font-[550] text-critical hover:underline">
        Under attack: {first.nodeName}, {vectorWords(first.vector)} on {first.port ?? "the host"}
      </Link>
      <span className="text-ink-2">{facts.join(", ")}</span>
      {others.length > 0 && (
        <Link href={`${base}/incidents?status=open`} className="text-critical hover:underline md:ml-auto">
          and {plural(others.length, "other")}
        </Link>
      )}
    </div>
  );
}
