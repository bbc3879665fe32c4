import { Chip } from "../../ui/Chip.tsx";
import { brief, count, percent } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { type Column, Table } from "../../ui/Table.tsx";
import type { IncidentFacts } from "./facts.ts";
import { Known } from "./Marks.tsx";
import { laneWords } from "./words.ts";

type IncidentRule = IncidentFacts["rules"][number];

/** The mitigations of an incident: what each does, as the kernel has it, and how often it was hit. */
export function Rules({ incident }: { incident: IncidentFacts }) {
  const { rules, status } = incident;
  const total = rules.reduce((sum, { hits }) => sum + (hits?.packets ?? 0), 0);
  const columns: Column<IncidentRule>[] = [
    {
      key: "words",
      head: "What it does",
      className: "md:w-full",
      cell: ({ words, rules: lines, dryRun }) => (
        <>
          {words} {dryRun && <Chip>counts only</Chip>}
          {lines.map((line) => (
            <code key={line} className="code block break-words whitespace-pre-wrap text-ink-2">
              {line}
            </code>
          ))}
        </>
      ),
    },
    { key: "lane", head: "Lane", cell: ({ lane }) => <span className="whitespace-nowrap">{laneWords(lane)}</span> },
    {
      key: "packets",
      head: "Packets",
      right: true,
      cell: ({ hits }) => (
        <Known
          value={hits}
          show={({ packets, bytes }) => <span title={`${brief(bytes)} bytes`}>{count(packets)}</span>}
          because="Read from the kernel when the rule is removed"
          word={status === "open" ? "not yet" : "unknown"}
        />
      ),
    },
    {
      key: "share",
      head: "Share",
      right: true,
      cell: ({ hits }) => (hits && total > 0 ? percent(hits.packets / total) : ""),
    },
  ];
  return (
    <Section
      title="Rules"
      aside={
        rules.length > 0 &&
        (status === "open" ? "end by themselves when the attack does" : "removed when the attack was over")
      }
    >
      {rules.length === 0 ? (
        <p className="text-ink-2">
          {incident.mode === "approve"
            ? "Rules wait for approval."
            : status === "open"
              ? "None yet."
              : "No rule was applied."}
        </p>
      ) : (
        <Table caption="Rules with hits" columns={columns} rows={rules} rowKey={({ id, lane }) => `${id}/${lane}`} />
      )}
    </Section>
  );
}
