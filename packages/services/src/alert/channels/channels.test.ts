import { answerAsSlack, controlSequences, type SlackMessage } from "@flowtriq/fakes/slack";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { VECTORS } from "@flowtriq/protocol/vector";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import type { Alert, IncidentAlert, TestAlert } from "../alert.ts";
import { durationWords, headline, ppsWords } from "../words.ts";
import { CHANNEL_KINDS, channels, parseSettings, renderAlert } from "./index.ts";

const SECRET = `whsec_${btoa("a secret of at least 24 bytes")}`;
const deployment = { allowLoopback: false };
const slackSettings = { url: "https://hooks.slack.com/services/T/B/x" };
const webhookSettings = { url: "https://noc.example/hook", secret: SECRET };

type Change = Partial<Omit<IncidentAlert, "incident">> & { incident?: Partial<IncidentAlert["incident"]> };

function alert(change: Change = {}): IncidentAlert {
  return {
    about: "incident",
    id: "alr_0123456789",
    transition: "opened",
    sentAt: new Date(),
    workspace: { id: "wsp_1", name: "Northern VPN" },
    node: { id: "nod_1", name: "fra-1" },
    ...change,
    incident: {
      id: "atk_0123456789",
      url: "https://app.example/northern/incidents/atk_0123456789",
      startedAt: new Date("2026-01-02T03:04:05.678Z"),
      endedAt: null,
      vector: "udp_flood",
      confidence: 0.97,
      severity: "high",
      target: { port: 51820, transport: "udp" },
      peakPps: 212_345,
      peakBps: 1.4e9,
      mode: "enforce",
      mitigatedAfterMs: 12.4,
      tunnels: 42,
      tunnelsBefore: 42,
      usersDisconnected: 0,
      ...change.incident,
    },
  };
}

function onSlack(message: Alert, brandName: string = DEFAULT_BRAND.name): SlackMessage {
  const brand = { ...DEFAULT_BRAND, name: brandName };
  const request = renderAlert("slack", message, brand, slackSettings, deployment);
  const answer = answerAsSlack(request.headers["content-type"], request.body);
  if (answer.status !== 200) throw new Error(`${answer.body}: ${answer.why}`);
  return answer.message;
}

describe("the first line", () => {
  test("says at night what must be known", () => {
    expect(headline(alert())).toBe(
      "fra-1: UDP flood on udp/51820, 212 kpps, mitigated in 12 ms, tunnels up 42 of 42, 0 disconnected",
    );
  });

  test.each<[string, Change, string]>([
    [
      "an attack that is over",
      {
        transition: "ended",
        incident: { endedAt: new Date("2026-01-02T03:06:18.678Z"), tunnels: 41, usersDisconnected: 1 },
      },
      "fra-1: UDP flood on udp/51820 over after 2 min 13 s, peak 212 kpps, mitigated in 12 ms, tunnels up 41 of 42, 1 disconnected",
    ],
    [
      "a vector that is known now",
      { transition: "classified", incident: { vector: "dns_amplification" } },
      "fra-1: classified as DNS amplification on udp/51820 (97 %), 212 kpps, mitigated in 12 ms, tunnels up 42 of 42, 0 disconnected",
    ],
    [
      "a message that comes after its attack",
      { transition: "opened", incident: { endedAt: new Date("2026-01-02T03:04:35.678Z"), mitigatedAfterMs: null } },
      "fra-1: UDP flood on udp/51820 over after 30 s, peak 212 kpps, not mitigated, tunnels up 42 of 42, 0 disconnected",
    ],
    [
      "a node that only observes",
      { incident: { mode: "observe", mitigatedAfterMs: null, tunnels: null, usersDisconnected: null } },
      "fra-1: UDP flood on udp/51820, 212 kpps, observed only, nothing dropped, tunnels unknown, disconnected unknown",
    ],
    [
      "an attack beside the VPN ports, not yet mitigated",
      { incident: { target: null, vector: "dns_amplification", mitigatedAfterMs: null } },
      "fra-1: DNS amplification on host, 212 kpps, mitigation on its way, tunnels up 42 of 42, 0 disconnected",
    ],
    [
      "a mitigation that needs a person",
      { incident: { mode: "approve", mitigatedAfterMs: null } },
      "fra-1: UDP flood on udp/51820, 212 kpps, waits for approval, tunnels up 42 of 42, 0 disconnected",
    ],
  ])("%s", (_name, change, line) => {
    expect(headline(alert(change))).toBe(line);
  });

  test.each(VECTORS)("%s has words and fits the line with a long name", (vector) => {
    const line = headline(alert({ node: { id: "n", name: "n".repeat(253) }, incident: { vector } }));
    expect(line.length).toBeLessThanOrEqual(150);
    expect(line).toMatch(/^n{10,}….*: .*, 0 disconnected$/);
    expect(line).not.toContain("_");
  });

  test.each([
    [0, "0 pps"],
    [999, "999 pps"],
    [999.6, "1 kpps"],
    [1_050, "1.05 kpps"],
    [12_340, "12.3 kpps"],
    [999_499, "999 kpps"],
    [999_500, "1 Mpps"],
    [2.5e13, "25000 Gpps"],
  ])("%f packets a second are %s", (pps, words) => {
    expect(ppsWords(pps)).toBe(words);
  });

  test.each([
    [0.4, "0 ms"],
    [999, "999 ms"],
    [1_000, "1 s"],
    [59_600, "1 min"],
    [3_661_000, "1 h 1 min"],
  ])("%f ms are %s", (ms, words) => {
    expect(durationWords(ms)).toBe(words);
  });
});

const HOSTILE_NAMES = [
  "<!channel>",
  "<!here|here>",
  "<@U024BE7LH>",
  "<#C024BE7LR|general>",
  "<https://evil.example|Open the incident>",
  "&lt;!channel&gt;",
  "a&b<c>d",
  "*bold* _italic_ ~strike~ `code` ```block```",
  "> quote\n# heading\r\n- list",
  "x\u202egnp.exe",
  "zero\u200bwidth\ufeff",
  "\u0000\u001b[31mred",
  "\ud83d lone",
  "👨‍👩‍👧‍👦 naïve Übergröße 東京-1 مثال",
  "",
  "   \n\t ",
  "👍".repeat(200),
  "&".repeat(5_000),
  '"}],"blocks":[{"type":"divider"',
  ":rotating_light:",
];

describe("Slack", () => {
  test("the message is one that Slack takes, with one link and the brand's name", () => {
    const message = onSlack(alert(), "Quiet Tunnels");
    expect(controlSequences(message)).toEqual([
      "<https://app.example/northern/incidents/atk_0123456789|Open the incident>",
    ]);
    expect(JSON.stringify(message)).toContain("Quiet Tunnels");
    expect(message.blocks?.[0]).toMatchObject({ type: "header", text: { text: headline(alert()), emoji: false } });
    expect(message.text).toBe(headline(alert()));
  });

  test.each(HOSTILE_NAMES)("the name %j is text and nothing else", (name) => {
    const message = onSlack(alert({ node: { id: "n", name }, workspace: { id: "w", name } }), name);
    expect(controlSequences(message)).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(message.text).not.toMatch(/[\u0000-\u001f\u200b\u202a-\u202e\ufeff]/);
    expect(message.text).toMatch(/, 0 disconnected$/);
  });

  test("no name at all makes a message that Slack refuses or that carries a second link", () => {
    const anyText = fc.string({ unit: "binary", maxLength: 400 });
    fc.assert(
      fc.property(anyText, anyText, fc.constantFrom(...VECTORS), (node, brand, vector) => {
        const message = onSlack(alert({ node: { id: "n", name: node }, incident: { vector } }), brand);
        expect(controlSequences(message)).toHaveLength(1);
      }),
    );
  });
});

describe("webhook", () => {
  test("another library's verification accepts the message", () => {
    const message = alert();
    const request = renderAlert("webhook", message, DEFAULT_BRAND, webhookSettings, deployment);
    const payload = new Webhook(SECRET).verify(request.body, request.headers);
    expect(request.headers["webhook-id"]).toBe(message.id);
    expect(payload).toMatchObject({
      type: "incident.opened",
      timestamp: message.sentAt.toISOString(),
      data: {
        brand: DEFAULT_BRAND.name,
        summary: headline(message),
        node: { id: "nod_1", name: "fra-1" },
        incident: {
          id: "atk_0123456789",
          vector: "udp_flood",
          mitigatedAfterMs: 12.4,
          startedAt: "2026-01-02T03:04:05.678Z",
        },
      },
    });
  });

  test.each(HOSTILE_NAMES)("the name %j arrives signed and as it was", (name) => {
    const request = renderAlert(
      "webhook",
      alert({ node: { id: "n", name } }),
      DEFAULT_BRAND,
      webhookSettings,
      deployment,
    );
    expect(new Webhook(SECRET).verify(request.body, request.headers)).toMatchObject({ data: { node: { name } } });
  });

  test("a changed body, id or time is not accepted", () => {
    const { body, headers } = renderAlert("webhook", alert(), DEFAULT_BRAND, webhookSettings, deployment);
    const verify = (changedBody: string, changed: Record<string, string>) => () =>
      new Webhook(SECRET).verify(changedBody, { ...headers, ...changed });
    expect(verify(body, {})).not.toThrow();
    expect(verify(body.replace("fra-1", "fra-2"), {})).toThrow();
    expect(verify(body, { "webhook-id": "alr_other" })).toThrow();
    expect(verify(body, { "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) })).toThrow();
  });

  test("a repetition has the same id and a new time", () => {
    const later = { ...alert(), sentAt: new Date(Date.now() + 60_000) };
    const [first, second] = [alert(), later].map(
      (message) => renderAlert("webhook", message, DEFAULT_BRAND, webhookSettings, deployment).headers,
    );
    expect(second?.["webhook-id"]).toBe(first?.["webhook-id"]);
    expect(second?.["webhook-timestamp"]).not.toBe(first?.["webhook-timestamp"]);
  });
});

describe("a test message", () => {
  const sample: TestAlert = {
    about: "test",
    id: "tst_1",
    sentAt: new Date(),
    workspace: { id: "wsp_1", name: "Northern VPN" },
    channel: { id: "chn_1", name: "<!channel>" },
  };

  test("says that nothing is under attack", () => {
    const message = onSlack(sample);
    expect(message.text).toContain("Nothing is under attack");
    expect(controlSequences(message)).toEqual([]);
    const { body, headers } = renderAlert("webhook", sample, DEFAULT_BRAND, webhookSettings, deployment);
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({
      type: "channel.test",
      data: { channel: { id: "chn_1" } },
    });
  });
});

describe("settings", () => {
  test.each<[(typeof CHANNEL_KINDS)[number], unknown]>([
    ["slack", {}],
    ["slack", { url: "http://hooks.slack.com/" }],
    ["slack", { url: "https://127.0.0.1/" }],
    ["slack", { ...slackSettings, channel: "#general" }],
    ["slack", null],
    ["webhook", { url: "https://noc.example/" }],
    ["webhook", { ...webhookSettings, secret: "hunter2" }],
    ["webhook", { ...webhookSettings, secret: `whsec_${btoa("too short")}` }],
    ["webhook", { ...webhookSettings, secret: `whsec_${btoa("x".repeat(65))}` }],
    ["webhook", { ...webhookSettings, secret: "whsec_@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@" }],
  ])("%s refuses %j", (kind, settings) => {
    expect(() => parseSettings(kind, settings, deployment)).toThrow();
  });

  test("what the deployment no longer allows is not rendered", () => {
    const settings = { url: "http://127.0.0.1:9/x" };
    expect(() => renderAlert("slack", alert(), DEFAULT_BRAND, settings, { allowLoopback: true })).not.toThrow();
    expect(() => renderAlert("slack", alert(), DEFAULT_BRAND, settings, { allowLoopback: false })).toThrow();
  });

  test("every kind renders equal bytes for equal arguments", () => {
    const message = alert();
    const settings = { slack: slackSettings, webhook: webhookSettings };
    for (const kind of CHANNEL_KINDS) {
      const render = () => renderAlert(kind, message, DEFAULT_BRAND, settings[kind], deployment);
      expect(render()).toEqual(render());
    }
    expect(Object.keys(channels)).toEqual([...CHANNEL_KINDS]);
  });
});
