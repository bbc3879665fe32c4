import { duration, exactUtc, minuteUtc } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import type { IncidentFacts } from "./facts.ts";

/** What happened, in milliseconds after the first packet, and who or what did it. */
export function Timeline({ entries }: { entries: IncidentFacts["timeline"] }) {
  const [first] = entries;
  if (!first) return null;
  return (
    <Section title="Timeline" aside={<span className="num">{minuteUtc(first.at)}</span>}>
      <ol className="num">
        {entries.map((entry, index) => (
          <li
            key={entry.id}
            className="grid grid-cols-[84px_minmax(0,1fr)_auto] gap-3 border-t border-line py-[7px] first:border-t-0 max-md:grid-cols-[76px_minmax(0,1fr)]"
          >
            <time dateTime={entry.at.toISOString()} title={exactUtc(entry.at)} className="whitespace-nowrap text-ink-2">
              {index === 0
                ? entry.at.toISOString().slice(17, 23)
                : `+${duration(entry.at.getTime() - first.at.getTime())}`}
            </time>
            <span className="break-words">
              {entry.kind === "note" && typeof entry.data.author === "string" && (
                <span className="text-ink-2">{entry.data.author}: </span>
              )}
              {entry.text}
            </span>
            <span className="text-ink-3 max-md:hidden">{entry.actor}</span>
          </li>
        ))}
      </ol>
    </Section>
  );
}
