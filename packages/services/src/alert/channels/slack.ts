import { z } from "zod";
import type { Alert, Channel, IncidentAlert } from "../alert.ts";
import { type Deployment, targetUrl } from "../outbound.ts";
import { bpsWords, headline, oneLine, ppsWords, shorten } from "../words.ts";

const settings = (deployment: Deployment) => z.strictObject({ url: targetUrl(deployment) });
export type SlackSettings = z.infer<ReturnType<typeof settings>>;

/** Slack incoming webhooks, and what speaks like them (Mattermost, Rocket.Chat, Discord's /slack). */
export const slack: Channel<SlackSettings> = {
  settings,
  render(alert, brand, { url }) {
    // Slack's limit for a header; its text is plain, so nothing in it is markup.
    const first = headline(alert, 150);
    const from = [name(brand.name, "Alerts"), name(alert.workspace.name, "unnamed workspace")];
    return {
      method: "POST",
      url,
      headers: { "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify({
        // What a phone shows on its locked screen.
        text: escaped(first),
        blocks: [
          { type: "header", text: { type: "plain_text", text: first, emoji: false } },
          ...(alert.about === "incident" ? details(alert) : []),
          { type: "context", elements: [mrkdwn([...from, time(momentOf(alert))].join(" · "))] },
        ],
        unfurl_links: false,
        unfurl_media: false,
      }),
    };
  },
};

function details({ node, incident }: IncidentAlert) {
  const facts = [
    `*Node* ${name(node.name, "unnamed node")}`,
    `*Peak* ${ppsWords(incident.peakPps)}, ${bpsWords(incident.peakBps)}`,
    `*Severity* ${incident.severity}`,
    `*Confidence* ${Math.round(incident.confidence * 100)} %`,
  ];
  return [
    { type: "section", fields: facts.map(mrkdwn) },
    // A link and not a button: a button would ask the workspace's Slack app to answer a click.
    { type: "section", text: mrkdwn(`<${linkTarget(incident.url)}|Open the incident>`) },
  ];
}

/** `verbatim` keeps Slack from making links and mentions of names that look like them. */
const mrkdwn = (text: string) => ({ type: "mrkdwn", text, verbatim: true });

/** Slack's three: without them `<!channel>` in a host name would wake everybody. */
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
/** A bar would end the address of a link, a bracket the link. */
const linkTarget = (url: string) => escaped(new URL(url).href.replaceAll("|", "%7C"));
const name = (text: string, whenEmpty: string) => escaped(shorten(oneLine(text, whenEmpty), 100));
const momentOf = (alert: Alert) => (alert.about === "incident" ? alert.incident.startedAt : alert.sentAt);
const time = (at: Date) => `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
