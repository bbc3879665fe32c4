import { type Mode, Policy, Prefix } from "@flowtriq/protocol/policy";

/** A policy as its form holds it. */
export type Draft = { mode: Mode; sensitivity: string; quietSeconds: string; neverBlock: string };

export const draftOf = (policy: Policy): Draft => ({
  mode: policy.mode,
  sensitivity: String(policy.sensitivity),
  quietSeconds: String(policy.quietSeconds),
  neverBlock: policy.neverBlock.join("\n"),
});

const lines = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** The policy that a draft means, or what is wrong with each of its fields. */
export function read(
  draft: Draft,
  before: Policy,
): { policy: Policy } | { errors: Partial<Record<keyof Draft, string>> } {
  const bad = lines(draft.neverBlock).filter((line) => !Prefix.safeParse(line).success);
  const parsed = Policy.safeParse({
    ...before,
    mode: draft.mode,
    sensitivity: draft.sensitivity.trim() === "" ? undefined : Number(draft.sensitivity),
    quietSeconds: draft.quietSeconds.trim() === "" ? undefined : Number(draft.quietSeconds),
    neverBlock: lines(draft.neverBlock),
  });
  if (parsed.success) return { policy: parsed.data };
  const errors: Partial<Record<keyof Draft, string>> = {};
  for (const { path, message } of parsed.error.issues) errors[path[0] as keyof Draft] ??= message;
  if (bad.length > 0)
    errors.neverBlock = `${bad.slice(0, 3).join(", ")} ${bad.length === 1 ? "is no address or prefix" : "are no addresses or prefixes"}, such as 192.0.2.7 or 2001:db8::/32.`;
  return { errors };
}
