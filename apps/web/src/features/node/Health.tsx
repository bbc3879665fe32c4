import type { Outputs } from "../../trpc.ts";
import { Chip } from "../../ui/Chip.tsx";
import { exactUtc } from "../../ui/format.ts";
import { Section } from "../../ui/Page.tsx";
import { Ago } from "../../ui/Time.tsx";
import { Known } from "../incident/Marks.tsx";
import { PROTOCOL_WORDS } from "../incident/words.ts";

type NodeFacts = Outputs["node"]["get"];

/** What runs there, and what the node said of itself. */
export function Health({ node, wantedRevision }: { node: NodeFacts; wantedRevision: number | undefined }) {
  const facts: [string, React.ReactNode][] = [
    ["Agent", node.version],
    ["Kernel", node.kernel],
    ["Rules through", <Known key="backend" value={node.backend} show={(backend) => backend} />],
    ["Policy", <Policy key="policy" node={node} wanted={wantedRevision} />],
    [
      "Protected ports",
      node.ports.length === 0
        ? "none reported"
        : node.ports
            .map(({ port, transport, protocol }) => `${PROTOCOL_WORDS[protocol] ?? protocol} ${transport}/${port}`)
            .join(", "),
    ],
    ["Added", <Ago key="added" at={node.createdAt} />],
  ];
  return (
    <div className="grid gap-x-8 md:grid-cols-2">
      <Section title="Health">
        <dl className="border-t border-line">
          {facts.map(([name, value]) => (
            <div key={name} className="grid grid-cols-[120px_minmax(0,1fr)] gap-3 border-b border-line py-2">
              <dt className="text-ink-3">{name}</dt>
              <dd className="break-words">{value}</dd>
            </div>
          ))}
        </dl>
      </Section>
      <Section title="What it said" aside="newest first">
        {node.events.length === 0 ? (
          <p className="text-ink-2">Nothing yet.</p>
        ) : (
          <ol className="num border-t border-line">
            {node.events.slice(0, 8).map((event) => (
              <li key={event.id} className="grid grid-cols-[minmax(0,1fr)_auto] gap-3 border-b border-line py-2">
                <span className="break-words">{said(event)}</span>
                <time dateTime={event.at.toISOString()} title={exactUtc(event.at)} className="text-ink-3">
                  <Ago at={event.at} />
                </time>
              </li>
            ))}
          </ol>
        )}
      </Section>
    </div>
  );
}

function Policy({ node, wanted }: { node: NodeFacts; wanted: number | undefined }) {
  if (node.policyError !== null)
    return (
      <>
        <Chip tone="high">refused</Chip> <span className="text-ink-2">{node.policyError}</span>
      </>
    );
  if (wanted === undefined || node.appliedRevision === wanted) return <>revision {node.appliedRevision}, as wanted</>;
  return (
    <>
      revision {node.appliedRevision}, <span className="text-high">revision {wanted} is wanted</span>
    </>
  );
}

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

function said({ event, data }: NodeFacts["events"][number]): string {
  if (event === "agent.ready") return `Ready, mode ${text(data.mode)}, agent ${text(data.version)}`;
  if (event === "agent.stopped") return `Stopped: ${text(data.reason)}`;
  if (event === "agent.warning") return text(data.message);
  if (event === "policy.applied") return `Policy revision ${text(data.revision)} applied`;
  if (event === "policy.refused") return `Policy revision ${text(data.revision)} refused: ${text(data.reason)}`;
  return event;
}
