import { TRANSITIONS } from "@flowtriq/db/schema/channel";
import { AttackId } from "@flowtriq/protocol/event";
import { z } from "zod";

/** What the worker can be asked to do, with its payload; the workspace travels beside it, in the outbox row. */
export const jobs = {
  "alert.deliver": z.strictObject({ incidentId: AttackId, transition: z.enum(TRANSITIONS) }),
  /** One message to one channel; `alert.deliver` asks for one of these per channel. */
  "alert.send": z.strictObject({
    incidentId: AttackId,
    channelId: z.string().max(64),
    transition: z.enum(TRANSITIONS),
  }),
  "channel.test": z.strictObject({ channelId: z.string().max(64) }),
} satisfies Record<string, z.ZodType<Record<string, unknown>>>;

export type JobName = keyof typeof jobs;
export type JobPayload<N extends JobName> = z.infer<(typeof jobs)[N]>;
