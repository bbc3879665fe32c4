"use client";
import { VECTORS } from "@flowtriq/protocol/vector";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { parseAsString, parseAsStringLiteral, useQueryStates } from "nuqs";
import { useRef } from "react";
import { useTRPC } from "../../trpc.ts";
import { Button } from "../../ui/Button.tsx";
import { cn } from "../../ui/cn.ts";
import { Loaded } from "../../ui/Loaded.tsx";
import { PageHead } from "../../ui/Page.tsx";
import { Empty, SkeletonRows } from "../../ui/States.tsx";
import { IncidentTable } from "./IncidentTable.tsx";
import { vectorWords } from "./words.ts";

const filters = {
  status: parseAsStringLiteral(["open", "ended"] as const),
  vector: parseAsStringLiteral(VECTORS),
  node: parseAsString,
};
const PAGE = 50;

export function IncidentList({ base }: { base: string }) {
  const trpc = useTRPC();
  const [wanted, setWanted] = useQueryStates(filters);
  const nodes = useQuery(trpc.node.list.queryOptions({ limit: 1000 })).data?.items ?? [];
  const query = useInfiniteQuery(
    trpc.incident.list.infiniteQueryOptions(
      {
        limit: PAGE,
        status: wanted.status ?? undefined,
        vector: wanted.vector ?? undefined,
        nodeId: wanted.node ?? undefined,
      },
      { getNextPageParam: (page) => page.nextCursor ?? undefined },
    ),
  );
  // What is on screen when the page opens is not news.
  const known = useRef<Set<string>>(undefined);
  const rows = query.data?.pages.flatMap(({ items }) => items);
  if (rows && !known.current) known.current = new Set(rows.map(({ id }) => id));
  const filtered = Object.values(wanted).some((value) => value !== null);
  return (
    <>
      <PageHead title="Incidents">Attacks that nodes have met, newest first.</PageHead>
      <search aria-label="Filters" className="mt-4 mb-2 flex flex-wrap items-center gap-2">
        <Filter
          label="State"
          value={wanted.status}
          onChange={(status) => void setWanted({ status })}
          options={[
            ["open", "Open"],
            ["ended", "Over"],
          ]}
        />
        <Filter
          label="Kind"
          value={wanted.vector}
          onChange={(vector) => void setWanted({ vector })}
          options={VECTORS.map((vector) => [vector, vectorWords(vector)])}
        />
        <Filter
          label="Node"
          value={wanted.node}
          onChange={(node) => void setWanted({ node })}
          options={nodes.map(({ id, name }) => [id, name])}
        />
        {filtered && (
          <Button look="quiet" onClick={() => void setWanted(null)}>
            Clear
          </Button>
        )}
      </search>
      <Loaded
        query={{ ...query, data: rows }}
        what="Incidents"
        skeleton={<SkeletonRows rows={12} label="Loading incidents" />}
      >
        {(incidents) =>
          incidents.length === 0 ? (
            filtered ? (
              <Empty
                title="No incident fits these filters"
                actions={<Button onClick={() => void setWanted(null)}>Clear filters</Button>}
              >
                Take one away, or all of them.
              </Empty>
            ) : (
              <Empty title="No incident yet">
                When a node meets an attack, it appears here within a second, also while this page is open.
              </Empty>
            )
          ) : (
            <>
              <IncidentTable
                base={base}
                rows={incidents}
                caption="Incidents, newest first"
                fresh={({ id, status }) => status === "open" && known.current !== undefined && !known.current.has(id)}
              />
              <div className="mt-4 flex items-center gap-4 text-sm text-ink-3">
                {query.hasNextPage && (
                  <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
                    Show {PAGE} more
                  </Button>
                )}
                <span className="num">
                  {incidents.length} shown{query.hasNextPage ? "" : ", that is all"}
                </span>
              </div>
            </>
          )
        }
      </Loaded>
    </>
  );
}

function Filter<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T | null;
  options: readonly (readonly [T, string])[];
  onChange: (value: T | null) => void;
}) {
  return (
    <select
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => onChange((event.target.value || null) as T | null)}
      className={cn(
        "h-8 max-w-44 rounded-md border border-line bg-surface px-2 text-ink-2 max-md:h-10 max-md:flex-1",
        value !== null && "border-accent bg-accent-soft text-accent",
      )}
    >
      <option value="">{label}: any</option>
      {options.map(([option, words]) => (
        <option key={option} value={option}>
          {words}
        </option>
      ))}
    </select>
  );
}
