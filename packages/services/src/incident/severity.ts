import type { Severity, TrafficVerdict } from "@flowtriq/protocol/vector";

export type Impact = {
  vector: TrafficVerdict;
  peakPps: number;
  packets: number | null;
  passedPackets: number | null;
  tunnelsBefore: number | null;
  tunnelsLowest: number | null;
  usersDisconnected: number | null;
};

const HIGH_PPS = 1_000_000;
const MEDIUM_PPS = 100_000;
const MANY_PACKETS = 1_000_000;

/**
 * How bad it is for the people behind the tunnels, then how large (the words are those of RFC 9244).
 * - high: somebody was cut off; or a tenth of the tunnels was missing at some moment; or a tenth of a million packets and
 *   more got through; or its peak reached 1 Mpps
 * - medium: a tunnel was missing at some moment, or its peak reached 100 kpps
 * - low: everything else, and a reconnect storm in which nobody was cut off
 */
export function severityOf(impact: Impact): Severity {
  const { tunnelsBefore, tunnelsLowest, packets, passedPackets } = impact;
  const missing = tunnelsBefore !== null && tunnelsLowest !== null ? tunnelsBefore - tunnelsLowest : 0;
  if ((impact.usersDisconnected ?? 0) > 0) return "high";
  if (impact.vector === "reconnect_storm") return "low"; // tunnels are missing because they are what comes back
  if (tunnelsBefore !== null && missing > 0 && missing >= tunnelsBefore / 10) return "high";
  if (packets !== null && passedPackets !== null && packets >= MANY_PACKETS && passedPackets >= packets / 10)
    return "high";
  if (impact.peakPps >= HIGH_PPS) return "high";
  return missing > 0 || impact.peakPps >= MEDIUM_PPS ? "medium" : "low";
}
