import type { Agent } from "./agent.ts";
import { leaseOf, stateOf } from "./kernel.ts";
import { duration, type Paint, printable, rate, type Style, wrap } from "./terminal.ts";

/** The way to the service: since when nothing got through, and why. */
export type ServiceState = { url: string; connected: boolean; lastReportAt: string | null; trouble: string | null };

/** What the running agent answers. Absent values: stand-alone, or not known. */
export type StatusReport = ReturnType<Agent["status"]> & {
  /** Events that the service has not acknowledged. */
  spoolEvents: number | null;
  service: ServiceState | null;
};

/** The status as an operator reads it under attack: the worst first. `now` in epoch milliseconds. */
export function statusText(status: StatusReport, now: number, { paint, width }: Style): string {
  const row = (label: string, words: string) => `${label.padEnd(LABEL)}${wrap(words, width - LABEL, LABEL)}`;
  const { ports } = status;
  return [
    wrap(headline(status, now, paint), width),
    ...status.attacks.flatMap((attack) => ["", ...attackLines(attack, status, now, width)]),
    "",
    row("tunnels", String(status.tunnels ?? "unknown")),
    row("watching", `${status.interfaces.join(", ")} with ${status.backend}`),
    row("ports", ports.map(({ port, transport, protocol }) => `${port}/${transport} ${protocol}`).join(", ") || "none"),
    row("rules", rulesWords(status)),
    row("service", serviceWords(status, now, paint)),
  ].join("\n");
}

const LABEL = 10;

function headline({ standingDown, attacks, mode, revision, startedAt }: StatusReport, now: number, paint: Paint) {
  if (standingDown)
    return paint.yellow("Standing down: everything was withdrawn by hand. Start the agent anew to protect this host.");
  const state =
    attacks.length === 0
      ? paint.green("No attack")
      : paint.red(attacks.length === 1 ? "Under attack" : `Under ${attacks.length} attacks`);
  return `${state}, mode ${mode}, policy revision ${revision}, running for ${duration((now - startedAt) / 1000)}`;
}

function attackLines(
  attack: StatusReport["attacks"][number],
  status: StatusReport,
  now: number,
  width: number,
): string[] {
  const pps = (value: number) => rate(value, "pps");
  const { tunnelsBefore, tunnelsLowest, tunnels } = attack;
  const rules = status.rules
    .filter(({ lane }) => attack.lanes.includes(lane))
    .map((lane) => `${lane.lane} ${stateOf(lane)}${leaseWords(leaseOf(lane))}`);
  return [
    attack.id,
    `${attack.verdict} on ${attack.target}, ${Math.round(attack.confidence * 100)} % sure, for ${duration((now - attack.startedAt) / 1000)}`,
    `in ${pps(attack.pps)} ${rate(attack.bps, "bps")}, passed ${pps(attack.passedPps)}, peak ${pps(attack.peakPps)}`,
    `rules ${rules.join(", ") || "none"}`,
    ...(tunnelsBefore === null
      ? []
      : [`tunnels ${tunnelsBefore} before, ${tunnelsLowest ?? "unknown"} at the lowest, ${tunnels ?? "unknown"} now`]),
  ].map((words, index) => (index === 0 ? words : `  ${wrap(words, width - 4, 4)}`));
}

const leaseWords = (seconds: number | null) => (seconds === null ? "" : ` for ${duration(seconds)}`);

/** How many lanes hold what. */
function rulesWords({ rules }: StatusReport): string {
  const count = (state: string) => rules.filter((lane) => stateOf(lane) === state).length;
  if (rules.length === 0) return "none in the kernel";
  const states = (["armed", "watched", "first aid"] as const).flatMap((state) =>
    count(state) > 0 ? [`${count(state)} ${state === "first aid" ? "on first aid" : state}`] : [],
  );
  return [`${rules.length} lanes`, ...states].join(", ");
}

function serviceWords({ service, spoolEvents }: StatusReport, now: number, paint: Paint): string {
  if (!service) return "none: stand-alone";
  const waiting = spoolEvents ? `, ${spoolEvents} events wait` : "";
  if (service.connected) return `connected to ${service.url}${waiting}`;
  const since = service.lastReportAt
    ? `, last reached ${duration((now - Date.parse(service.lastReportAt)) / 1000)} ago`
    : ", not reached yet";
  return `${paint.yellow("not connected")} to ${service.url}${since}${waiting}${service.trouble ? `: ${printable(service.trouble)}` : ""}`;
}
