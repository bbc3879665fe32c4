import type { incidentEvent } from "@flowtriq/db/schema/incident";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { portOf } from "@flowtriq/protocol/lane";
import { bpsWords, durationWords, ppsWords, vectorWords } from "../alert/words.ts";
import { instant } from "./bounds.ts";
import type { AttackEvent } from "./fold.ts";

export type TimelineEntry = Pick<typeof incidentEvent.$inferInsert, "id" | "at" | "actor" | "kind" | "text" | "data">;

/** What an event of the node adds to the timeline, in words; the event's own entry keeps its id and holds all of it. */
export function timelineOf(event: AttackEvent): TimelineEntry[] {
  const own = { id: event.id, at: instant(event.at), kind: event.event, data: { ...event } };
  switch (event.event) {
    case "attack.started":
      return [
        { ...kernelEntry(event, "packet.first", event.firstPacketAt), text: "First attack packet" },
        { ...kernelEntry(event, "rate.tripped", event.trippedAt), text: "A rate limit tripped and woke the agent" },
        {
          ...own,
          actor: "agent",
          text: `${what(event)}: ${ppsWords(event.pps)}, threshold ${ppsWords(event.thresholdPps)}`,
        },
      ];
    case "attack.classified": {
      // Both counted by the kernel, the second after the drop.
      const reach = `${ppsWords(event.passedPps)} of ${ppsWords(event.pps)} get through`;
      const text = `Classified as ${what(event)}, confidence ${percent(event.confidence)}; ${reach}`;
      return [{ ...own, actor: "agent", text }];
    }
    case "mitigation.applied": {
      const rules = plural(event.mitigations.length, "mitigation");
      return [
        {
          ...own,
          actor: "agent",
          text: event.dryRun ? `${rules} would be in force (nothing is dropped)` : `${rules} in force`,
        },
      ];
    }
    case "mitigation.removed":
      return [{ ...own, actor: "agent", text: `Mitigations withdrawn: ${REASONS[event.reason]}` }];
    case "attack.ended": {
      const seconds = instant(event.at).getTime() - instant(event.startedAt).getTime();
      const peak = `peak ${ppsWords(event.peakPps)}, ${bpsWords(event.peakBps)}`;
      const over = `Over after ${durationWords(Math.max(0, seconds))}, ${peak}`;
      const reached = `${counted(event.passedPackets)} of ${counted(event.packets)} packets got through`;
      return [{ ...own, actor: "agent", text: [over, reached, ...handshakes(event)].join("; ") }];
    }
    case "capture.written":
      return [{ ...own, actor: "agent", text: captureWords(event) }];
  }
}

/** Nothing where they were not counted, or where there were none anyway. */
function handshakes({ handshakesBefore: before, handshakesDuring: during }: AgentEventOf<"attack.ended">): string[] {
  if (typeof before !== "number" || typeof during !== "number" || before + during === 0) return [];
  return [`${before.toFixed(1)} handshakes a second finished before, ${during.toFixed(1)} during`];
}

const counted = (n: number): string => Math.round(n).toLocaleString("en-US");

function captureWords({ packets, secondsBefore, complete }: AgentEventOf<"capture.written">): string {
  const from = secondsBefore ? ` from ${secondsBefore.toFixed(1)} s before the attack` : "";
  return `Capture kept: ${counted(packets)} ${packets === 1 ? "packet" : "packets"}${from}${complete ? "" : " (incomplete)"}`;
}

const REASONS = {
  ended: "the attack is over",
  withdrawn: "by hand",
  policy: "the policy changed",
  expired: "their time ran out",
  rolled_back: "known clients were falling",
} satisfies Record<AgentEventOf<"mitigation.removed">["reason"], string>;

function kernelEntry(event: AttackEvent, kind: string, at: string) {
  return { id: `${event.id}:${kind}`, at: instant(at), actor: "kernel" as const, kind, data: {} };
}

function what({ vector, lane }: Pick<AgentEventOf<"attack.started">, "vector" | "lane">): string {
  const port = portOf(lane);
  return `${vectorWords(vector)} on ${port ? `${port.transport}/${port.port}` : "host"}`;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? "" : "s"}`;
