import type { ChannelKind } from "@flowtriq/services/alert/channels/index";

/** Kinds of channel, in words. */
export const KIND_WORDS: Record<ChannelKind, string> = { slack: "Slack", webhook: "Signed webhook" };
