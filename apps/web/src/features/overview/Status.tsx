"use client";
import Link from "next/link";
import type { Outputs } from "../../trpc.ts";
import { useNow } from "../../ui/clock.ts";
import { Figures } from "../../ui/Figures.tsx";
import { bps, brief, count, duration, plural, pps } from "../../ui/format.ts";
import { Ago } from "../../ui/Time.tsx";
import { Known } from "../incident/Marks.tsx";
import type { NodeNow } from "../live/useTraffic.ts";
import { type NodeRow, stateOf } from "../node/facts.ts";

type Facts = Outputs["overview"]["get"];
type Latest = ReadonlyMap<string, NodeNow>;

/** The answer to "is anything wrong?". */
export function Status({ facts, nodes, latest }: { facts: Facts; nodes: readonly NodeRow[]; latest: Latest }) {
  const now = useNow();
  const attacked = [...new Set(facts.openIncidents.map(({ nodeName }) => nodeName))];
  const states = nodes.map((node) => stateOf(node, now, latest.get(node.id)?.at));
  const silent = states.filter((state) => state === "silent").length;
  const look = states.filter((state) => state === "look").length;
  const first =
    attacked.length === 0
      ? "No attack now."
      : attacked.length === 1
        ? `${attacked[0]} is under attack.`
        : `${attacked.length} nodes are under attack.`;
  const of = (n: number) =>
    nodes.length === 1 ? "The node" : `${n === 1 ? "One" : count(n)} of ${plural(nodes.length, "node")}`;
  const second =
    silent > 0
      ? `${of(silent)} ${silent === 1 ? "is" : "are"} silent.`
      : look > 0
        ? `${of(look)} ${look === 1 ? "needs" : "need"} a look.`
        : nodes.length === 1
          ? "The node reports."
          : `All ${count(nodes.length)} nodes report.`;
  return (
    <span suppressHydrationWarning>
      {first} {second}
    </span>
  );
}

/** Was anyone cut off, was it handled. */
export function Proof({ facts, base }: { facts: Facts; base: string }) {
  const [open] = facts.openIncidents;
  const last = open ?? facts.lastAttack;
  const { users, incidents, unknownIncidents } = facts.usersDisconnected30d;
  if (!last && incidents === 0)
    return <p>No attack has been met yet. Detection runs on the nodes themselves, with or without this page.</p>;
  return (
    <p>
      {last && (
        <>
          {open ? "It began" : "Last attack"} <Ago at={last.startedAt} /> on{" "}
          <Link href={`${base}/incidents/${last.id}`} className="hover:underline">
            <b>{last.nodeName}</b>
          </Link>
          ,{" "}
          {last.timeToFirstDropMs !== null ? (
            <>
              dropped in <b>{duration(last.timeToFirstDropMs)}</b>.
            </>
          ) : last.mode === "observe" ? (
            "only observed."
          ) : open ? (
            "not dropped yet."
          ) : (
            "not dropped."
          )}{" "}
        </>
      )}
      In 30 days <b>{count(incidents)}</b> {incidents === 1 ? "attack was" : "attacks were"} met and{" "}
      <b>{count(users)}</b> {users === 1 ? "user" : "users"} disconnected by them
      {unknownIncidents > 0 && `; for ${count(unknownIncidents)} of them nobody could tell`}.
    </p>
  );
}

export function Now({ facts, latest }: { facts: Facts; latest: Latest }) {
  const now = [...latest.values()];
  const live = now.length > 0;
  const counted = now.flatMap(({ tunnels }) => tunnels ?? []);
  const tunnels = live ? (counted.length > 0 ? sum(counted) : null) : facts.tunnels;
  const traffic = live
    ? { pps: sum(now.map((node) => node.pps)), bps: sum(now.map((node) => node.bps)) }
    : facts.traffic;
  const first = facts.timeToFirstDrop30d;
  return (
    <Figures
      figures={[
        {
          label: "Tunnels up now",
          value: <Known value={tunnels} show={count} />,
          note: `on ${plural(facts.nodes.total, "node")}`,
        },
        {
          label: "Traffic now",
          value: pps(traffic.pps),
          note: bps(traffic.bps),
          exact: `${count(traffic.pps)} packets per second`,
        },
        {
          label: "Dropped, 24 h",
          value: brief(facts.droppedPackets24h),
          note: "packets",
          exact: `${count(facts.droppedPackets24h)} packets`,
        },
        {
          label: "Median to first drop, 30 days",
          value: first ? duration(first.medianMs) : <span className="text-ink-3">none yet</span>,
          note: first ? `p95 ${duration(first.p95Ms)}` : undefined,
        },
      ]}
    />
  );
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
