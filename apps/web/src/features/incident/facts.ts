import type { IncidentDetail, IncidentSummary } from "@flowtriq/services/incident";

/** What is known of an incident in a list. Null is "unknown", never zero. */
export type IncidentRow = IncidentSummary;

export type IncidentFacts = IncidentDetail;

/** One second of the node around the attack. `at` in seconds since the epoch; null: nobody reported it. */
export type IncidentSecond = {
  at: number;
  passedPps: number | null;
  droppedPps: number | null;
  tunnels: number | null;
};

/** The share of the attack's packets that reached the VPN; null until somebody has counted. */
export const passedShare = ({
  packets,
  passedPackets,
}: Pick<IncidentRow, "packets" | "passedPackets">): number | null =>
  packets === null || passedPackets === null || packets === 0 ? null : Math.min(1, passedPackets / packets);
