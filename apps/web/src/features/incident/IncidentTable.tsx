import { Chip } from "../../ui/Chip.tsx";
import { bps, count, duration, percent, pps } from "../../ui/format.ts";
import { type Column, Table } from "../../ui/Table.tsx";
import { Ago, Since } from "../../ui/Time.tsx";
import { type IncidentRow, passedShare } from "./facts.ts";
import { Known, SeverityMark } from "./Marks.tsx";
import { vectorWords } from "./words.ts";

/** Nobody has counted yet, or nobody could. */
const wordOf = ({ status }: IncidentRow): string => (status === "open" ? "not yet" : "unknown");

const columns: Column<IncidentRow>[] = [
  {
    key: "what",
    head: "What",
    cell: (row) => (
      <>
        <SeverityMark severity={row.severity} open={row.status === "open"} />
        {vectorWords(row.vector)}, {row.nodeName}{" "}
        <small className="text-xs text-ink-3">{row.port === null ? "host" : `${row.transport}/${row.port}`}</small>
      </>
    ),
  },
  {
    key: "state",
    head: "State",
    cell: ({ status, acknowledgedAt }) =>
      status === "open" ? (
        <Chip tone="critical">{acknowledgedAt ? "Open, acknowledged" : "Open"}</Chip>
      ) : (
        <span className="text-ink-2">{acknowledgedAt ? "Over, acknowledged" : "Over"}</span>
      ),
  },
  {
    key: "when",
    head: "When",
    cell: ({ startedAt, endedAt }) => (
      <>
        <Ago at={startedAt} />{" "}
        <small className="text-xs whitespace-nowrap text-ink-3">
          {endedAt ? duration(endedAt.getTime() - startedAt.getTime()) : <Since at={startedAt} />}
        </small>
      </>
    ),
  },
  {
    key: "peak",
    head: "Peak",
    right: true,
    phone: "peak",
    cell: (row) => <span title={`${count(row.peakPps)} pps, ${bps(row.peakBps)}`}>{pps(row.peakPps)}</span>,
  },
  {
    key: "drop",
    head: "First drop",
    right: true,
    phone: "first drop",
    cell: (row) =>
      row.mode === "observe" ? (
        <span className="text-ink-3">observed</span>
      ) : (
        <Known value={row.timeToFirstDropMs} show={duration} />
      ),
  },
  {
    key: "reached",
    head: "Reached the VPN",
    right: true,
    phone: "reached",
    cell: (row) => (
      <Known value={passedShare(row)} show={percent} because="Counted when the attack is over" word={wordOf(row)} />
    ),
  },
  {
    key: "disconnected",
    head: "Disconnected",
    right: true,
    phone: "disconnected",
    cell: (row) => <Known value={row.usersDisconnected} show={count} word={wordOf(row)} />,
  },
];

/** Incidents side by side, newest first. */
export const IncidentTable = ({
  base,
  rows,
  caption,
  fresh,
}: {
  base: string;
  rows: readonly IncidentRow[];
  caption: string;
  fresh?: (row: IncidentRow) => boolean;
}) => (
  <Table
    caption={caption}
    columns={columns}
    rows={rows}
    rowKey={({ id }) => id}
    href={({ id }) => `${base}/incidents/${id}`}
    fresh={fresh}
  />
);
