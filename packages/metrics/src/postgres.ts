import { textArray } from "@flowtriq/db/arrays";
import { type Tx, withSystem, withWorkspace } from "@flowtriq/db/client";
import { type SQL, sql } from "drizzle-orm";
import { grid, stepFor } from "./grid.ts";
import type { Latest, MetricsStore, NodeObservation, Series, SeriesQuery } from "./store.ts";

// What a node says is clipped to what the columns hold: one absurd figure must not fail a batch of honest ones.
const MAX_REAL = 1e30;
const MAX_TUNNELS = 10_000_000; // exact in a `real`
/** A minute is packed when the node has had this long to report its last second. */
const SETTLE_SECONDS = 20;
const MINUTES_PER_RUN = 5_000;
/** Up to this step seconds are read; above it, the roll-up. */
const MAX_STEP_OF_SECONDS = 20;
const COMPACT_LOCK = 5_193_002;

/**
 * The newest seconds are rows of their own: an insert each, safe when acknowledged, and no packed row is rewritten every second.
 * Once its minute is over, a node's seconds move into one packed row and one roll-up row in a single statement, so that every
 * reader sees each second exactly once.
 */
export const postgresMetrics: MetricsStore = {
  write: (batch, tx) =>
    batch.length === 0 ? Promise.resolve() : tx ? insert(tx, batch) : withSystem((own) => insert(own, batch)),
  series,
  latest,
  droppedPackets,
  compact,
};

async function insert(tx: Tx, batch: readonly NodeObservation[]): Promise<void> {
  const numbers = (pick: (seen: NodeObservation["observation"]) => number) =>
    sql`${`{${batch.map(({ observation }) => real(pick(observation))).join()}}`}::real[]`;
  await tx.execute(sql`
    insert into node_second (workspace_id, node_id, at, pps, bps, dropped_pps, passed_pps, passed_bps, tunnels, lanes)
    select node.workspace_id, u.node_id, to_timestamp(u.second), u.pps, u.bps, u.dropped, u.passed_pps, u.passed_bps, u.tunnels, u.lanes
    from unnest(
      ${textArray(batch.map(({ nodeId }) => nodeId))}::text[],
      ${`{${batch.map(({ observation }) => secondOf(observation.at)).join()}}`}::double precision[],
      ${numbers((seen) => seen.pps)}, ${numbers((seen) => seen.bps)}, ${numbers((seen) => seen.droppedPps)},
      ${numbers((seen) => seen.passedPps)}, ${numbers((seen) => seen.passedBps)},
      ${`{${batch.map(({ observation: { tunnels } }) => (tunnels === null ? "null" : Math.min(tunnels, MAX_TUNNELS))).join()}}`}::integer[],
      ${textArray(batch.map(({ observation }) => JSON.stringify(observation.lanes)))}::jsonb[]
    ) as u(node_id, second, pps, bps, dropped, passed_pps, passed_bps, tunnels, lanes)
    join node on node.id = u.node_id
    on conflict do nothing`);
}

async function series({ workspaceId, nodeIds, from, to, maxPoints }: SeriesQuery): Promise<Series> {
  const { step, start, end } = stepFor(from, to, maxPoints);
  const source = step <= MAX_STEP_OF_SECONDS ? seconds(nodeIds, start, end) : minutes(nodeIds, start, end);
  const rows = await withWorkspace(workspaceId, (tx) =>
    tx.execute(sql`
      with source as (${source}),
      -- All nodes of one moment are added up first, then the moments of a step are averaged.
      moment as (
        select t, sum(pps) as pps, sum(peak_pps) as peak_pps, sum(bps) as bps, sum(dropped) as dropped,
          sum(passed_pps) as passed_pps, sum(passed_bps) as passed_bps, sum(tunnels) as tunnels
        from source group by t)
      select (t - ${start}::bigint) / ${step}::bigint as step, avg(pps) as pps, max(peak_pps) as peak_pps, avg(bps) as bps,
        avg(dropped) as dropped, avg(passed_pps) as passed_pps, avg(passed_bps) as passed_bps, min(tunnels) as tunnels
      from moment where t >= ${start}::bigint and t < ${end}::bigint group by 1`),
  );
  return grid(rows as Iterable<Record<string, unknown>>, { step, start, end });
}

/** One row per node and second. */
function seconds(nodeIds: readonly string[] | undefined, start: number, end: number): SQL {
  return sql`
    select node_id, t, max(pps) as pps, max(pps) as peak_pps, max(bps) as bps, max(dropped) as dropped,
      max(passed_pps) as passed_pps, max(passed_bps) as passed_bps, max(tunnels) as tunnels
    from (
      select node_id, extract(epoch from minute)::bigint + u.i - 1 as t, u.pps, u.bps, u.dropped, u.passed_pps, u.passed_bps, u.tunnels
      from node_minute,
        unnest(pps, bps, dropped_pps, passed_pps, passed_bps, tunnels) with ordinality
          as u(pps, bps, dropped, passed_pps, passed_bps, tunnels, i)
      where ${ofNodes(nodeIds)} and minute >= to_timestamp(${start - 60}) and minute < to_timestamp(${end}) and u.pps is not null
      union all
      select node_id, extract(epoch from at)::bigint, pps, bps, dropped_pps, passed_pps, passed_bps, tunnels
      from node_second
      where ${ofNodes(nodeIds)} and at >= to_timestamp(${start}) and at < to_timestamp(${end})
    ) as sides group by node_id, t`; // a second that is reported again after its minute was packed is in both for a while
}

/** One row per node and minute, the minutes that are not packed yet included. */
function minutes(nodeIds: readonly string[] | undefined, start: number, end: number): SQL {
  return sql`
    select node_id, extract(epoch from minute)::bigint as t, mean_pps as pps, peak_pps, mean_bps as bps, mean_dropped_pps as dropped,
      mean_passed_pps as passed_pps, mean_passed_bps as passed_bps, tunnels_lowest as tunnels
    from node_minute_rollup
    where ${ofNodes(nodeIds)} and minute >= to_timestamp(${start}) and minute < to_timestamp(${end})
    union all
    select node_id, extract(epoch from date_trunc('minute', at))::bigint, avg(pps), max(pps), avg(bps), avg(dropped_pps),
      avg(passed_pps), avg(passed_bps), min(tunnels)
    from node_second s
    where ${ofNodes(nodeIds)} and at >= to_timestamp(${start}) and at < to_timestamp(${end})
      and not exists (
        select 1 from node_minute_rollup r where r.node_id = s.node_id and r.minute = date_trunc('minute', s.at))
    group by 1, 2`;
}

async function latest({ workspaceId, nodeIds, now }: Parameters<MetricsStore["latest"]>[0]): Promise<Latest[]> {
  const rows = (await withWorkspace(workspaceId, (tx) =>
    tx.execute(sql`
      select distinct on (node_id) node_id, extract(epoch from at) as second, pps, bps, dropped_pps, passed_pps, passed_bps, tunnels, lanes
      from node_second
      where ${ofNodes(nodeIds)} and at > ${new Date(now.getTime() - 60_000).toISOString()}::timestamptz
      order by node_id, at desc`),
  )) as unknown as Record<string, unknown>[];
  return rows.map((row) => ({
    nodeId: String(row.node_id),
    at: new Date(Number(row.second) * 1000),
    pps: Number(row.pps),
    bps: Number(row.bps),
    droppedPps: Number(row.dropped_pps),
    passedPps: Number(row.passed_pps),
    passedBps: Number(row.passed_bps),
    tunnels: row.tunnels === null ? null : Number(row.tunnels),
    lanes: (row.lanes ?? []) as Latest["lanes"],
  }));
}

async function droppedPackets({ workspaceId, since }: { workspaceId: string; since: Date }): Promise<number> {
  const at = sql`${since.toISOString()}::timestamptz`;
  const [row] = (await withWorkspace(workspaceId, (tx) =>
    tx.execute(sql`
      select coalesce((select sum(mean_dropped_pps::double precision * seconds) from node_minute_rollup where minute >= ${at}), 0)
        + coalesce((select sum(dropped_pps::double precision) from node_second where at >= ${at}), 0) as dropped`),
  )) as unknown as { dropped: number }[];
  return Math.round(Number(row?.dropped ?? 0));
}

const PACKED = ["pps", "bps", "dropped_pps", "passed_pps", "passed_bps", "tunnels"];
const ROLLED = [
  ["seconds", "count(*)"],
  ["mean_pps", "avg(pps)"],
  ["peak_pps", "max(pps)"],
  ["mean_bps", "avg(bps)"],
  ["peak_bps", "max(bps)"],
  ["mean_dropped_pps", "avg(dropped_pps)"],
  ["mean_passed_pps", "avg(passed_pps)"],
  ["peak_passed_pps", "max(passed_pps)"],
  ["mean_passed_bps", "avg(passed_bps)"],
  ["tunnels_lowest", "min(tunnels)::bigint::integer"],
  ["tunnels_highest", "max(tunnels)::bigint::integer"],
] as const;

function compact(now: Date): Promise<{ minutes: number }> {
  const settled = sql`date_trunc('minute', ${now.toISOString()}::timestamptz - interval '${sql.raw(String(SETTLE_SECONDS))} seconds')`;
  return withSystem(async (tx) => {
    const [lock] = (await tx.execute(sql`select pg_try_advisory_xact_lock(${COMPACT_LOCK}) as mine`)) as unknown as {
      mine: boolean;
    }[];
    if (!lock?.mine) return { minutes: 0 };
    const [done] = (await tx.execute(sql`
      with due as (
        select node_id, date_trunc('minute', at) as minute from node_second where at < ${settled}
        group by 1, 2 order by 2 limit ${MINUTES_PER_RUN}),
      moved as (
        delete from node_second s using due
        where s.node_id = due.node_id and s.at >= due.minute and s.at < due.minute + interval '1 minute'
        returning s.workspace_id, s.node_id, due.minute, extract(second from s.at)::integer as second,
          s.pps, s.bps, s.dropped_pps, s.passed_pps, s.passed_bps, s.tunnels::real),
      -- What the minute holds already, when its first part was packed before a late report came.
      known as (
        select m.workspace_id, m.node_id, m.minute, (u.i - 1)::integer as second,
          u.pps, u.bps, u.dropped_pps, u.passed_pps, u.passed_bps, u.tunnels
        from node_minute m join due on due.node_id = m.node_id and due.minute = m.minute,
          unnest(m.pps, m.bps, m.dropped_pps, m.passed_pps, m.passed_bps, m.tunnels) with ordinality
            as u(pps, bps, dropped_pps, passed_pps, passed_bps, tunnels, i)
        where u.pps is not null),
      whole as (
        select distinct on (node_id, minute, second) *
        from (select *, 0 as late from known union all select *, 1 from moved) as sides
        order by node_id, minute, second, late),
      packed as (
        insert into node_minute (workspace_id, node_id, minute, ${sql.raw(PACKED.join())})
        select m.workspace_id, m.node_id, m.minute, ${sql.raw(PACKED.map((name) => `array_agg(w.${name} order by i)`).join())}
        from (select distinct workspace_id, node_id, minute from whole) as m cross join generate_series(0, 59) as i
          left join whole w on w.node_id = m.node_id and w.minute = m.minute and w.second = i
        group by 1, 2, 3
        on conflict (node_id, minute) do update set ${sql.raw(PACKED.map((name) => `${name} = excluded.${name}`).join())}),
      rolled as (
        insert into node_minute_rollup (workspace_id, node_id, minute, ${sql.raw(ROLLED.map(([name]) => name).join())})
        select workspace_id, node_id, minute, ${sql.raw(ROLLED.map(([, value]) => value).join())} from whole group by 1, 2, 3
        on conflict (node_id, minute) do update set ${sql.raw(ROLLED.map(([name]) => `${name} = excluded.${name}`).join())})
      select count(*)::integer as minutes from due`)) as unknown as { minutes: number }[];
    return { minutes: done?.minutes ?? 0 };
  });
}

const ofNodes = (nodeIds: readonly string[] | undefined): SQL =>
  nodeIds ? sql`node_id = any(${textArray(nodeIds)}::text[])` : sql`true`;

const real = (value: number): number => Math.min(Math.round(value * 100) / 100, MAX_REAL);
/** `at` is the end of the second it speaks of; a report a few milliseconds late still means the second before. */
const secondOf = (at: string): number => Math.max(0, Math.ceil(Date.parse(at) / 1000 - 0.5) - 1);
