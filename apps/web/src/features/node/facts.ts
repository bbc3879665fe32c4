import type { NodeSummary } from "@flowtriq/services/node";

export type NodeRow = NodeSummary;

/** A node that has not reported this long is silent. */
export const SILENT_AFTER_MS = 30_000;

export const NODE_STATES = {
  attacked: { words: "under attack", colour: "var(--critical)" },
  protected: { words: "protected", colour: "var(--ok)" },
  look: { words: "needs a look", colour: "var(--high)" },
  observing: { words: "observing only", colour: "var(--line-strong)" },
  silent: { words: "silent", colour: "var(--ink-3)" },
} as const;
export type NodeState = keyof typeof NODE_STATES;

type StateFacts = Pick<NodeRow, "lastSeenAt" | "openIncidents" | "policyError" | "mode">;

/** `heardAt`: what the live stream knows, which is newer than the row. */
export function stateOf(node: StateFacts, nowMs: number, heardAt?: string): NodeState {
  const seen = Math.max(node.lastSeenAt?.getTime() ?? 0, heardAt ? Date.parse(heardAt) : 0);
  if (node.openIncidents > 0) return "attacked";
  if (nowMs - seen > SILENT_AFTER_MS) return "silent";
  if (node.policyError !== null) return "look";
  return node.mode === "observe" || node.mode === null ? "observing" : "protected";
}
