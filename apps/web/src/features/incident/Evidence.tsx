import { count, percent } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { ShareBars } from "../../ui/ShareBars.tsx";
import { Sparkline } from "../../ui/Sparkline.tsx";
import type { IncidentFacts, IncidentSecond } from "./facts.ts";

const SPOOFED = {
  yes: "Sources are forged.",
  no: "Sources are real addresses.",
  unknown: "Whether sources are forged is unknown.",
};

export const Evidence = ({ incident }: { incident: IncidentFacts }) => (
  <Section title="Why we call it an attack" aside={`confidence ${percent(incident.confidence)}`} className="md:mt-6">
    {incident.evidence.length === 0 ? (
      <p className="text-ink-2">Its rate is above the threshold; its packets are being looked at.</p>
    ) : (
      <ul className="list-disc pl-4 marker:text-ink-3">
        {incident.evidence.map((sentence) => (
          <li key={sentence} className="num mb-2">
            {sentence}
          </li>
        ))}
      </ul>
    )}
  </Section>
);

const orUnknown = (value: number | null): string => (value === null ? "unknown" : count(value));

export function Tunnels({ incident, seconds }: { incident: IncidentFacts; seconds: readonly IncidentSecond[] }) {
  const { tunnelsBefore, tunnelsLowest, tunnelsAfter, status } = incident;
  const now = seconds.findLast(({ tunnels }) => tunnels !== null)?.tunnels ?? null;
  const words =
    status === "open"
      ? `${orUnknown(tunnelsBefore)} before, ${orUnknown(now)} now`
      : `${orUnknown(tunnelsBefore)} before, ${orUnknown(tunnelsLowest)} at the lowest, ${orUnknown(tunnelsAfter)} after`;
  const from = seconds[0]?.at ?? 0;
  const to = seconds.at(-1)?.at ?? 1;
  return (
    <Section title="Tunnels" aside={<span className="num">{words}</span>} className="mt-4">
      <Sparkline
        label={`Live tunnels: ${words}`}
        points={seconds.map(({ at, tunnels }) => ({ at, value: tunnels }))}
        from={from}
        to={to}
        spans={[
          { from: incident.startedAt.getTime() / 1000, to: incident.endedAt ? incident.endedAt.getTime() / 1000 : to },
        ]}
      />
    </Section>
  );
}

/** What the sampled packets looked like. */
export function PacketProfile({ incident: { profile } }: { incident: IncidentFacts }) {
  if (!profile) return null;
  return (
    <>
      <p className="num mt-6 text-sm text-ink-2">
        From {count(profile.samples)} sampled packets of about {count(profile.distinctSources)} sources.{" "}
        {SPOOFED[profile.spoofed]}
      </p>
      <div className="mt-3 grid gap-x-6 gap-y-5 md:grid-cols-4">
        <ShareBars title="Sources" shares={profile.sources.slice(0, 6)} mono />
        <ShareBars title="Lengths, bytes" shares={profile.lengths.slice(0, 6)} />
        <ShareBars title="Source ports" shares={profile.sourcePorts.slice(0, 6)} />
        <ShareBars title="TTL" shares={profile.ttls.slice(0, 6)} />
      </div>
    </>
  );
}
