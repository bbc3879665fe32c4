import { Figures } from "../../ui/Figures.tsx";
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

/** `nowPps`: what reaches the node's VPN this second, while the attack runs. */
export function IncidentFigures({ incident, nowTunnels }: { incident: IncidentFacts; nowTunnels: number | null }) {
  const ms = incident.timeToFirstDropMs;
  const share = passedShare(incident);
  const open = incident.status === "open";
  const observed = incident.mode === "observe";
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
          value: pps(incident.peakPps),
          note: bps(incident.peakBps),
          exact: `${count(incident.peakPps)} packets and ${count(incident.peakBps)} bits per second`,
        },
        {
          label: "Reaching the VPN, of the attack",
          value: <Known value={share} show={percent} />,
          note:
            incident.passedPackets === null
              ? open
                ? "counted when it is over"
                : undefined
              : `${count(incident.passedPackets)} packets`,
        },
        {
          label: "Users disconnected",
          value: <Known value={incident.usersDisconnected} show={count} />,
          note:
            incident.tunnelsBefore === null
              ? "tunnels could not be counted"
              : open && nowTunnels !== null
                ? `${count(nowTunnels)} of ${count(incident.tunnelsBefore)} tunnels up`
                : `of ${count(incident.tunnelsBefore)}`,
        },
      ]}
    />
  );
}

export const Running = ({ incident }: { incident: IncidentFacts }) =>
  incident.endedAt ? (
    <>lasted {duration(incident.endedAt.getTime() - incident.startedAt.getTime())}</>
  ) : (
    <>
      running for <Since at={incident.startedAt} />
    </>
  );
