import type { Agent } from "./agent.ts";

const rate = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** The status as an operator reads it under attack: the worst first. */
export function statusText(status: ReturnType<Agent["status"]>): string {
  const attacks = status.attacks.map(
    (attack) =>
      `  ${attack.id}  ${attack.verdict} on ${attack.target}, ${rate.format(attack.pps)}pps arriving, ${rate.format(attack.passedPps)}pps passing, ` +
      `${Math.round(attack.confidence * 100)} % sure, since ${new Date(attack.startedAt).toISOString()}`,
  );
  const tunnels = status.tunnels === null ? "unknown number of" : String(status.tunnels);
  return [
    status.standingDown
      ? "Standing down: everything was withdrawn by hand. Start the agent anew to protect this host."
      : attacks.length > 0
        ? `Under attack, mode ${status.mode}:`
        : `No attack, mode ${status.mode}.`,
    ...attacks,
    `${tunnels} tunnels up; watching ${status.interfaces.join(", ")} with ${status.backend}; policy revision ${status.revision}.`,
    `Ports: ${status.ports.map((port) => `${port.port}/${port.transport} ${port.protocol}`).join(", ") || "none"}`,
  ].join("\n");
}
