import { z } from "zod";
import { FloodRequest } from "../flood/request.ts";

/** What the injecting process is given as its argument, as JSON. */
export const InjectRequest = z.strictObject({
  interface: z.string().regex(/^[a-z0-9]{1,15}$/),
  /** A whole Ethernet frame, base64. */
  frame: z.base64().max(4096),
  packets: z.number().int().min(1).max(10_000_000),
  /** Another random IPv4 source for each packet; its header checksum is then wrong, which only a router or a host minds. */
  randomSource: z.boolean(),
  /** `receive`: as if the interface had received it. `discard`: dropped where it is made, which is what making it costs. */
  fate: z.enum(["receive", "discard"]),
  /** A UDP port on which somebody listens meanwhile, and never reads. */
  listen: z.number().int().min(1).max(65_535).optional(),
});
export type InjectRequest = z.infer<typeof InjectRequest>;

export const InjectReport = z.strictObject({ nsPerPacket: z.number() });

const MAX_SECONDS = 3_600;

/** What a caller may ask of an injected flood: IPv4 from random sources, at a rate that no sender reaches beside its receiver. */
export const InjectedFloodOptions = FloodRequest.pick({
  attack: true,
  pps: true,
  port: true,
  serverPublicKey: true,
  seed: true,
}).extend({
  seconds: z.number().positive().max(MAX_SECONDS),
  /** So many frames take turns; the copies of each differ in their sources. */
  slots: z.number().int().min(1).max(65_536).default(4_096),
});
export type InjectedFloodOptions = z.input<typeof InjectedFloodOptions>;

export const InjectedFloodRequest = InjectedFloodOptions.extend({
  ...FloodRequest.pick({ interface: true, destination: true, sourceMac: true, destinationMac: true }).shape,
  family: z.literal(4),
});
export type InjectedFloodRequest = z.infer<typeof InjectedFloodRequest>;
