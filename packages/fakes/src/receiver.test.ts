import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Receiver, startReceiver } from "./receiver.ts";
import { controlSequences } from "./slack.ts";

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.stop());

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

function signed(body: string, { id = "msg_1", at = new Date(), secret = receiver.webhookSecret } = {}) {
  const seconds = String(Math.floor(at.getTime() / 1000));
  return {
    "webhook-id": id,
    "webhook-timestamp": seconds,
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
}

const section = (text: string) => ({ type: "section", text: { type: "mrkdwn", text } });

describe("Slack", () => {
  test("a proper message is taken and can be awaited before it comes", async () => {
    const next = receiver.next({ kind: "slack" });
    const answer = await post(receiver.slackUrl, { text: "hello", blocks: [section("*hello*")] });
    expect([answer.status, await answer.text()]).toEqual([200, "ok"]);
    expect((await next).message.text).toBe("hello");
  });

  test.each([
    ["no text and no blocks", {}, "no_text"],
    ["an unknown field", { text: "a", colour: "red" }, "invalid_payload"],
    ["an unknown block", { text: "a", blocks: [{ type: "heading" }] }, "invalid_blocks"],
    ["an unknown field in a block", { text: "a", blocks: [{ ...section("a"), bold: true }] }, "invalid_blocks"],
    ["an empty section", { text: "a", blocks: [{ type: "section" }] }, "invalid_blocks"],
    ["an empty text", { text: "a", blocks: [section("")] }, "invalid_blocks"],
    ["a section of 3,001 characters", { text: "a", blocks: [section("a".repeat(3001))] }, "invalid_blocks"],
    [
      "a header of 151 characters",
      { text: "a", blocks: [{ type: "header", text: { type: "plain_text", text: "a".repeat(151) } }] },
      "invalid_blocks",
    ],
    [
      "a header in mrkdwn",
      { text: "a", blocks: [{ type: "header", text: { type: "mrkdwn", text: "a" } }] },
      "invalid_blocks",
    ],
    ["51 blocks", { text: "a", blocks: Array(51).fill({ type: "divider" }) }, "invalid_blocks"],
    [
      "a button that runs a script",
      {
        text: "a",
        blocks: [
          {
            type: "actions",
            elements: [{ type: "button", text: { type: "plain_text", text: "a" }, url: "javascript:alert(1)" }],
          },
        ],
      },
      "invalid_blocks",
    ],
    ["no JSON", "payload={}", "invalid_payload"],
  ])("%s is refused in Slack's words", async (_name, body, word) => {
    const answer = await post(receiver.slackUrl, body);
    expect([answer.status, await answer.text()]).toEqual([400, word]);
    expect(receiver.deliveries).toHaveLength(0);
  });

  test("control sequences are found wherever text is marked up, and nowhere else", () => {
    const found = controlSequences({
      text: "<!here>",
      blocks: [
        { type: "section", fields: [{ type: "mrkdwn", text: "<@U1> &lt;!channel&gt;" }] },
        { type: "context", elements: [{ type: "plain_text", text: "<!channel>" }] },
      ],
    });
    expect(found).toEqual(["<!here>", "<@U1>"]);
  });
});

describe("Standard Webhooks", () => {
  test("a signed message is taken with its id and time", async () => {
    const body = '{"type":"incident.opened"}';
    const answer = await post(receiver.webhookUrl, body, signed(body));
    expect(answer.status).toBe(204);
    const delivery = await receiver.next({ kind: "webhook" });
    expect(delivery.id).toBe("msg_1");
    expect(delivery.payload).toEqual({ type: "incident.opened" });
  });

  test.each<[string, () => Record<string, string>, number]>([
    ["without a signature", () => ({}), 400],
    ["signed with another secret", () => signed("{}", { secret: `whsec_${btoa("another secret entirely")}` }), 401],
    ["signed for another body", () => signed('{"a":1}'), 401],
    ["six minutes old", () => signed("{}", { at: new Date(Date.now() - 360_000) }), 401],
    ["six minutes ahead", () => signed("{}", { at: new Date(Date.now() + 360_000) }), 401],
    ["with a full stop in its id", () => signed("{}", { id: "msg.1" }), 400],
    ["with a time that is no number", () => ({ ...signed("{}"), "webhook-timestamp": "17x" }), 400],
    ["as a form", () => ({ ...signed("{}"), "content-type": "application/x-www-form-urlencoded" }), 415],
  ])("a message %s is refused", async (_name, headers, status) => {
    expect((await post(receiver.webhookUrl, "{}", headers())).status).toBe(status);
    expect(receiver.deliveries).toHaveLength(0);
    expect(receiver.refusals).toHaveLength(1);
  });
});

test("an unknown path and another method are not found", async () => {
  expect((await post(`${receiver.url}/services/other`, {})).status).toBe(404);
  expect((await fetch(receiver.slackUrl)).status).toBe(404);
});

test("it fails as often as told and then recovers", async () => {
  receiver.misbehave("slack", 2, { do: "answer", status: 503, headers: { "retry-after": "7" } });
  receiver.misbehave("slack", 1, { do: "hang up" });
  const first = await post(receiver.slackUrl, { text: "a" });
  expect([first.status, first.headers.get("retry-after")]).toEqual([503, "7"]);
  expect((await post(receiver.slackUrl, { text: "b" })).status).toBe(503);
  await expect(post(receiver.slackUrl, { text: "c" })).rejects.toThrow();
  expect((await post(receiver.slackUrl, { text: "d" })).status).toBe(200);
  expect(receiver.refusals.map(({ status }) => status)).toEqual([503, 503, 0]);
  expect(receiver.deliveries).toHaveLength(1);
});

test("what is taken before the connection is cut is recorded", async () => {
  receiver.misbehave("slack", 1, { do: "take and hang up" });
  await expect(post(receiver.slackUrl, { text: "a" })).rejects.toThrow();
  expect(receiver.deliveries).toHaveLength(1);
});

test("waiting in vain ends with the reason of the last refusal", async () => {
  await post(receiver.slackUrl, { text: "a", colour: "red" });
  await expect(receiver.next({ kind: "slack", timeoutMs: 20 })).rejects.toThrow(/invalid|unrecognized/i);
});
