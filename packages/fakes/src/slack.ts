import { z } from "zod";

/**
 * What Slack's incoming webhooks take, as Slack documents it (Block Kit reference: blocks and composition objects).
 * Stricter than Slack in one thing: a field that is not documented is refused.
 */
const plain = (max: number) =>
  z.strictObject({ type: z.literal("plain_text"), text: z.string().min(1).max(max), emoji: z.boolean().optional() });
const mrkdwn = (max: number) =>
  z.strictObject({ type: z.literal("mrkdwn"), text: z.string().min(1).max(max), verbatim: z.boolean().optional() });
const text = (max: number) => z.discriminatedUnion("type", [plain(max), mrkdwn(max)]);

const url = z.url({ protocol: /^https?$/ }).max(3000);
const blockId = z.string().min(1).max(255).optional();

const image = { type: z.literal("image"), image_url: url, alt_text: z.string().min(1).max(2000) };
const Button = z.strictObject({
  type: z.literal("button"),
  text: plain(75),
  action_id: z.string().min(1).max(255).optional(),
  url: url.optional(),
  value: z.string().max(2000).optional(),
  style: z.enum(["primary", "danger"]).optional(),
  accessibility_label: z.string().max(75).optional(),
});

const Block = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("header"), text: plain(150), block_id: blockId }),
  z
    .strictObject({
      type: z.literal("section"),
      text: text(3000).optional(),
      fields: z.array(text(2000)).min(1).max(10).optional(),
      accessory: Button.optional(),
      expand: z.boolean().optional(),
      block_id: blockId,
    })
    .refine((section) => section.text ?? section.fields, { error: "missing required field: text", path: ["text"] }),
  z.strictObject({
    type: z.literal("context"),
    elements: z
      .array(z.union([text(3000), z.strictObject(image)]))
      .min(1)
      .max(10),
    block_id: blockId,
  }),
  z.strictObject({ type: z.literal("actions"), elements: z.array(Button).min(1).max(25), block_id: blockId }),
  z.strictObject({ type: z.literal("divider"), block_id: blockId }),
  z.strictObject({ ...image, title: plain(2000).optional(), block_id: blockId }),
]);

const Blocks = z
  .array(Block)
  .max(50)
  .refine((blocks) => unique(blocks.flatMap((block) => block.block_id ?? [])), { error: "block_id is not unique" })
  .refine(
    (blocks) =>
      unique(
        blocks.flatMap((block) =>
          block.type === "actions" ? block.elements.flatMap((element) => element.action_id ?? []) : [],
        ),
      ),
    { error: "action_id is not unique" },
  );

const Message = z.strictObject({
  text: z.string().max(40_000).optional(),
  blocks: Blocks.optional(),
  mrkdwn: z.boolean().optional(),
  unfurl_links: z.boolean().optional(),
  unfurl_media: z.boolean().optional(),
});
export type SlackMessage = z.infer<typeof Message>;

export type SlackAnswer =
  | { status: 200; body: "ok"; message: SlackMessage }
  | { status: 400; body: "invalid_payload" | "invalid_blocks" | "no_text"; why: string };

/** Answers one POST as Slack does: `ok`, or a word in plain text. `why` is for the person who reads the test. */
export function answerAsSlack(contentType: string | undefined, body: string): SlackAnswer {
  if (!/^application\/json\s*(;|$)/i.test(contentType ?? ""))
    return { status: 400, body: "invalid_payload", why: `content-type is ${contentType}` };
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    return { status: 400, body: "invalid_payload", why: String(error) };
  }
  const parsed = Message.safeParse(json);
  if (!parsed.success) {
    const inBlocks = parsed.error.issues.every((issue) => issue.path[0] === "blocks");
    return { status: 400, body: inBlocks ? "invalid_blocks" : "invalid_payload", why: pointers(parsed.error) };
  }
  const message = parsed.data;
  if (!message.text?.trim() && !message.blocks?.length)
    return { status: 400, body: "no_text", why: "neither text nor blocks" };
  return { status: 200, body: "ok", message };
}

/**
 * All that Slack would take for more than text in a message: mentions (`<!channel>`, `<@U1>`), links and channels.
 * A bare `@channel` in JSON text is not one of them: Slack wants angle brackets.
 */
export function controlSequences(message: SlackMessage): string[] {
  const texts = [message.text ?? ""];
  for (const block of message.blocks ?? []) {
    if (block.type === "section") for (const part of [block.text, ...(block.fields ?? [])]) texts.push(marked(part));
    if (block.type === "context")
      for (const part of block.elements) if (part.type !== "image") texts.push(marked(part));
  }
  return texts.flatMap((part) => part.match(/<[^<>]*>/g) ?? []);
}

const marked = (part: { type: string; text: string } | undefined) => (part?.type === "mrkdwn" ? part.text : "");
const unique = (values: readonly string[]) => new Set(values).size === values.length;
const pointers = (error: z.ZodError) =>
  error.issues.map((issue) => `${issue.message} [json-pointer:/${issue.path.join("/")}]`).join("; ");
