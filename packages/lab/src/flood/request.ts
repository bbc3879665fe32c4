import { z } from "zod";
import { ATTACK_NAMES } from "../attacks.ts";

export const MAX_SECONDS = 60;
export const MAX_PPS = 2_000_000;

const prefix = z.union([z.cidrv4(), z.cidrv6()]);
const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);

/** What a caller may ask of a flood. */
export const FloodOptions = z.strictObject({
  attack: z.enum(ATTACK_NAMES),
  pps: z.number().int().min(1).max(MAX_PPS),
  seconds: z.number().positive().max(MAX_SECONDS),
  /** Stop after so many packets, if that comes first. */
  packets: z
    .number()
    .int()
    .min(1)
    .max(MAX_PPS * MAX_SECONDS)
    .optional(),
  family: z.literal([4, 6]).default(4),
  port: z.number().int().min(1).max(65_535).optional(),
  sources: z
    .union([
      z.literal("random"),
      z.strictObject({ count: z.number().int().min(1).max(65_536) }),
      z.strictObject({ address: z.union([z.ipv4(), z.ipv6()]) }),
      z.strictObject({ prefix }),
    ])
    .default("random"),
  /** A prefix that is attacked as a whole, a carpet; routed to the concentrator. Left out: its own address. */
  destinations: prefix.optional(),
  seed: z.number().int().min(0).max(0xffff_ffff).default(1),
  /** Seconds on and off, over and over. The rate is that of the time on. */
  pulses: z.strictObject({ on: z.number().min(0.01).max(60), off: z.number().min(0.01).max(60) }).optional(),
  serverPublicKey: z.base64().length(44).optional(),
  /** UDP payloads of genuine clients, to be replayed or imitated. */
  recorded: z.array(z.base64().min(4).max(2_000)).min(1).max(256).optional(),
  /** All packets come from this port. */
  sourcePort: z.number().int().min(1).max(65_535).optional(),
  /** Packets for one system call. */
  batch: z.number().int().min(1).max(1024).default(64),
  slots: z.number().int().min(1).max(131_072).default(32_768),
});
export type FloodOptions = z.input<typeof FloodOptions>;

/** The options together with where the packets go: what the sender's process is given. */
export const FloodRequest = FloodOptions.extend({
  interface: z.string().regex(/^[a-z0-9]{1,15}$/),
  destination: z.union([z.ipv4(), z.ipv6()]),
  sourceMac: mac,
  destinationMac: mac,
});
export type FloodRequest = z.infer<typeof FloodRequest>;

/** How many of the first `seconds` are spent sending. */
export function onSeconds(seconds: number, pulses: FloodOptions["pulses"]): number {
  if (!pulses) return seconds;
  const cycle = pulses.on + pulses.off;
  return Math.floor(seconds / cycle) * pulses.on + Math.min(seconds % cycle, pulses.on);
}

const at = z.number().positive();
const sent = z.number().int().nonnegative();

/**
 * What the sender's process reports, one JSON object a line. Times are milliseconds since the epoch. When its packets are made it is ready,
 * and waits for a line that tells it when to begin.
 */
export const FloodReport = z.discriminatedUnion("event", [
  z.strictObject({ event: z.literal("ready") }),
  /** Read right before the first system call that sends. */
  z.strictObject({ event: z.literal("first"), at }),
  z.strictObject({
    event: z.literal("done"),
    sent,
    seconds: z.number().nonnegative(),
    pps: z.number().nonnegative(),
    /** [milliseconds since the first packet, packets handed over until then], at most 1 ms apart in the first second. */
    log: z.array(z.tuple([z.number().nonnegative(), sent])),
  }),
]);
export type FloodReport = z.infer<typeof FloodReport>;
