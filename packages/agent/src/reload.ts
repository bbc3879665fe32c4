import type { AgentConfig } from "@flowtriq/protocol/config";

/** What an edited configuration changes in a running agent; the rest is bound to sockets, chains and files that stand. */
const LIVE: readonly string[] = ["mode", "policy"] satisfies (keyof AgentConfig)[];

/** Fields that differ and need a restart. */
export function changedKeys(before: AgentConfig, now: AgentConfig): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]) as Set<keyof AgentConfig>;
  return [...keys].filter((key) => !LIVE.includes(key) && JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}
