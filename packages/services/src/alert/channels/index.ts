import type { Alert, AlertBrand, Channel } from "../alert.ts";
import type { Deployment, OutboundRequest } from "../outbound.ts";
import { slack } from "./slack.ts";
import { webhook } from "./webhook.ts";

export const CHANNEL_KINDS = ["slack", "webhook"] as const;
export type ChannelKind = (typeof CHANNEL_KINDS)[number];

export const channels = { slack, webhook } satisfies Record<ChannelKind, Channel<unknown>>;

/** Settings as a form or the database has them, parsed for their kind. Throws a ZodError that names the bad field. */
export function parseSettings(kind: ChannelKind, settings: unknown, deployment: Deployment): unknown {
  return channels[kind].settings(deployment).parse(settings);
}

/** The request for one alert. Settings are parsed again: what was allowed when they were saved may not be now. */
export function renderAlert(
  kind: ChannelKind,
  alert: Alert,
  brand: AlertBrand,
  settings: unknown,
  deployment: Deployment,
): OutboundRequest {
  const channel: Channel<unknown> = channels[kind];
  return channel.render(alert, brand, channel.settings(deployment).parse(settings));
}
