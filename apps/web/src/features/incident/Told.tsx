import { Chip } from "../../ui/Chip.tsx";
import { duration } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import type { IncidentFacts } from "./facts.ts";
import { TRANSITION_WORDS } from "./words.ts";

/** Who was told, of what, and how long it took. */
export function Told({ incident: { deliveries } }: { incident: IncidentFacts }) {
  if (deliveries.length === 0) return null;
  return (
    <Section title="Alerts" aside="from the event to the receiver's answer">
      <ul className="num border-t border-line">
        {deliveries.map(({ id, channelName, transition, status, latencyMs, attempts, response }) => (
          <li key={id} className="grid grid-cols-[minmax(0,1fr)_auto_auto] gap-3 border-b border-line py-[7px]">
            <span className="truncate">{channelName}</span>
            <span className="text-ink-3">{TRANSITION_WORDS[transition].toLowerCase()}</span>
            <span className="min-w-20 text-right">
              {status === "delivered" && latencyMs !== null ? (
                duration(latencyMs)
              ) : (
                <Chip tone={status === "failed" ? "critical" : "neutral"} title={response ?? undefined}>
                  {status === "failed" ? "failed" : attempts > 0 ? `attempt ${attempts + 1}` : "on its way"}
                </Chip>
              )}
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
