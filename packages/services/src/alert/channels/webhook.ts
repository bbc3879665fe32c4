import { Webhook } from "standardwebhooks";
import { z } from "zod";
import type { Channel } from "../alert.ts";
import { type Deployment, targetUrl } from "../outbound.ts";
import { headline } from "../words.ts";

const settings = (deployment: Deployment) =>
  z.strictObject({
    url: targetUrl(deployment),
    /** Standard Webhooks: 24 to 64 random bytes. */
    secret: z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, "must be whsec_ followed by base64")
      .refine((secret) => bytesOf(secret) >= 24 && bytesOf(secret) <= 64, "must hold 24 to 64 bytes"),
  });
export type WebhookSettings = z.infer<ReturnType<typeof settings>>;

/** JSON signed as Standard Webhooks has it (standardwebhooks.com): any of its libraries verifies it. */
export const webhook: Channel<WebhookSettings> = {
  settings,
  render(alert, brand, { url, secret }) {
    const body = JSON.stringify({
      type: alert.about === "incident" ? `incident.${alert.transition}` : "channel.test",
      // Of the attempt; when things happened stands with them.
      timestamp: alert.sentAt.toISOString(),
      data: {
        brand: brand.name,
        summary: headline(alert, 500),
        workspace: alert.workspace,
        // Dates become ISO 8601 in UTC with milliseconds.
        ...(alert.about === "incident" ? { node: alert.node, incident: alert.incident } : { channel: alert.channel }),
      },
    });
    return {
      method: "POST",
      url,
      headers: {
        "content-type": "application/json",
        "webhook-id": alert.id,
        "webhook-timestamp": String(Math.floor(alert.sentAt.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(alert.id, alert.sentAt, body),
      },
      body,
    };
  },
};

const bytesOf = (secret: string) => Math.floor((secret.slice("whsec_".length).replace(/=+$/, "").length * 3) / 4);
