/** Kinds of channel, in words. */
export const KIND_WORDS: Record<string, string> = { slack: "Slack", webhook: "Signed webhook" };
