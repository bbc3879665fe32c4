import { z } from "zod";

const port = z.number().int().min(1).max(65_535);
const address = z.union([z.ipv4(), z.ipv6()]);

/** A conversation that one side keeps going: it says something new, the other side says it back. */
export const Conversation = z.strictObject({
  name: z.string().max(60),
  transport: z.enum(["tcp", "udp"]),
  /** Own address, where the machine has several. */
  from: address.optional(),
  fromPort: port.optional(),
  to: address,
  port,
  /** `standing`: one connection for all rounds. `new`: another one for each round. */
  kind: z.enum(["standing", "new"]),
});
export type Conversation = z.infer<typeof Conversation>;

/** What the process of one machine is given as its argument. */
export const LiveRequest = z.strictObject({
  /** Ports, of every address, that say back what they hear. */
  echo: z.array(z.strictObject({ transport: z.enum(["tcp", "udp"]), port })),
  conversations: z.array(Conversation),
});
export type LiveRequest = z.infer<typeof LiveRequest>;

/** What is asked of it, and what it answers, one JSON object a line. */
export const LiveCommand = z.discriminatedUnion("command", [
  z.strictObject({ command: z.literal("connect") }),
  /** `only`: conversations that take part in this round; absent: all. */
  z.strictObject({ command: z.literal("round"), only: z.array(z.string()).optional() }),
]);
export type LiveCommand = z.infer<typeof LiveCommand>;

export const LiveAnswer = z.strictObject({
  /** Conversations without an answer. */
  silent: z.array(z.string()),
  /** Datagrams that were sent again before they were answered. */
  repeats: z.number().int(),
});
export type LiveAnswer = z.infer<typeof LiveAnswer>;
