import { type Figure, Figures } from "../../ui/Figures.tsx";
import { bps, count, duration, percent, plural, pps } from "../../ui/format.ts";
import { Since } from "../../ui/Time.tsx";
import { type IncidentFacts, passedShare } from "./facts.ts";
import { Known } from "./Marks.tsx";

/** What was done about it, in one sentence. */
function Done({ incident }: { incident: IncidentFacts }) {
  const ms = incident.timeToFirstDropMs;
  const open = incident.status === "open";
  if (incident.mode === "observe" || (incident.rules.length > 0 && incident.rules.every(({ dryRun }) => dryRun)))
    return <>{open ? "It is only observed" : "It was only observed"}: nothing is dropped in this mode. </>;
  if (ms !== null)
    return (
      <>
        Dropped <b>{duration(ms)}</b> after its first packet.{" "}
      </>
    );
  if (incident.rulesAt) return <>Rules have dropped it; when its first packet came is unknown. </>;
  if (incident.mode === "approve")
    return <>{open ? "Its rules wait for approval." : "Its rules were never approved."} </>;
  return <>{open ? "No rule drops it yet." : "No rule dropped it."} </>;
}

function Reached({ incident }: { incident: IncidentFacts }) {
  const { packets, passedPackets, peakPps } = incident;
  if (packets === null || passedPackets === null)
    return (
      <>
        At its peak <b>{count(peakPps)}</b> packets a second arrived.{" "}
      </>
    );
  return (
    <>
      Of <b>{count(packets)}</b> packets, <b>{count(passedPackets)}</b> reached the VPN.{" "}
    </>
  );
}

function Cut({ incident: { usersDisconnected, status } }: { incident: IncidentFacts }) {
  if (usersDisconnected === null)
    return status === "open" ? (
      <>Whether anyone was disconnected is counted when it is over.</>
    ) : (
      <>Whether anyone was disconnected is unknown: no source could tell.</>
    );
  return (
    <b>
      {usersDisconnected === 0
        ? "Nobody was disconnected."
        : `${plural(usersDisconnected, "user").replace(/^one/, "One")} ${usersDisconnected === 1 ? "was" : "were"} disconnected.`}
    </b>
  );
}

export const Sentence = ({ incident }: { incident: IncidentFacts }) => (
  <p>
    <Done incident={incident} />
    <Reached incident={incident} />
    <Cut incident={incident} />
  </p>
);

/** What is measured in this second, while the attack runs. Null: unknown. */
export type IncidentNow = { tunnels: number | null; lane: { pps: number; droppedPps: number } | null };

export function IncidentFigures({ incident, now }: { incident: IncidentFacts; now: IncidentNow }) {
  const { timeToFirstDropMs: ms, status, mode, peakPps, peakBps } = incident;
  const open = status === "open";
  const observed = mode === "observe";
  return (
    <Figures
      figures={[
        {
          label: "First packet to first drop",
          value: observed ? <span className="text-ink-3">none</span> : <Known value={ms} show={duration} />,
          note: observed ? "observe mode drops nothing" : ms === null && open ? "waiting for the node" : undefined,
        },
        {
          label: "Peak arriving",
          value: pps(peakPps),
          note: bps(peakBps),
          exact: `${count(peakPps)} packets and ${count(peakBps)} bits per second`,
        },
        open ? reachingNow(now) : reached(incident),
        open ? tunnelsNow(incident, now) : disconnected(incident),
      ]}
    />
  );
}

function reachingNow({ lane }: IncidentNow): Figure {
  const passed = lane && Math.max(0, lane.pps - lane.droppedPps);
  return {
    label: "Reaching the VPN now, of its lane",
    value: <Known value={lane && passed !== null && lane.pps > 0 ? passed / lane.pps : null} show={percent} />,
    note: passed === null ? undefined : pps(passed),
  };
}

const reached = (incident: IncidentFacts): Figure => ({
  label: "Reached the VPN, of the attack",
  value: <Known value={passedShare(incident)} show={percent} />,
  note: incident.passedPackets === null ? undefined : `${count(incident.passedPackets)} packets`,
});

const tunnelsNow = ({ tunnelsBefore }: IncidentFacts, { tunnels }: IncidentNow): Figure => ({
  label: "Tunnels up now",
  value: <Known value={tunnels} show={count} />,
  note: tunnelsBefore === null ? "before the attack: unknown" : `of ${count(tunnelsBefore)} before`,
});

const disconnected = ({ usersDisconnected, tunnelsBefore }: IncidentFacts): Figure => ({
  label: "Users disconnected",
  value: <Known value={usersDisconnected} show={count} />,
  note: tunnelsBefore === null ? "tunnels could not be counted" : `of ${count(tunnelsBefore)}`,
});

export const Running = ({ incident }: { incident: IncidentFacts }) =>
  incident.endedAt ? (
    <>lasted {duration(incident.endedAt.getTime() - incident.startedAt.getTime())}</>
  ) : (
    <>
      running for <Since at={incident.startedAt} />
    </>
  );
