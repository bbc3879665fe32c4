import * as z from "zod/mini";
import { VpnPort } from "./lane.ts";
import { Vector } from "./vector.ts";

/** `observe` counts what it would have dropped; `approve` waits for a person; `enforce` acts by itself. */
export const Mode = z.enum(["observe", "approve", "enforce"]);
export type Mode = z.infer<typeof Mode>;

/** An address or prefix in CIDR form, IPv4 or IPv6. */
export const Prefix = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);

const LanePps = z.record(z.string().check(z.maxLength(64)), z.int().check(z.minimum(1), z.maximum(100_000_000)));

/** What may happen by itself on a node. Every field has a default, so `{}` is a policy. */
export const Policy = z.strictObject({
  mode: z._default(Mode, "observe"),
  /** Overrides of the mode for single vectors. */
  vectorModes: z._default(z.partialRecord(Vector, Mode), {}),
  /** Threshold of a lane = this × its baseline, never below the lane's floor. */
  sensitivity: z._default(z.number().check(z.minimum(1.5), z.maximum(100)), 3),
  /** A lane must stay this long below half its threshold before its attack is over. */
  quietSeconds: z._default(z.int().check(z.minimum(5), z.maximum(600)), 20),
  /** The kernel keeps mitigating this long without hearing from the agent. */
  leaseSeconds: z._default(z.int().check(z.minimum(15), z.maximum(60)), 45),
  /** Never blocked, whatever they send: management networks, resolvers, monitoring. */
  neverBlock: z._default(z.array(Prefix).check(z.maxLength(256)), []),
  /** Manual thresholds in packets per second, by lane id; they replace floor and baseline. */
  thresholdsPps: z._default(LanePps, {}),
  /** By lane id: what is learned never sets a threshold lower than this. Absent rather than empty, for older agents. */
  floorsPps: z.optional(LanePps),
  /** By lane id: nor higher than this, whatever is usual. */
  ceilingsPps: z.optional(LanePps),
});
export type Policy = z.infer<typeof Policy>;

export const DEFAULT_POLICY: Policy = Policy.parse({});

/** A policy as a node receives it. */
export const NodePolicy = z.strictObject({
  revision: z.int().check(z.minimum(0)),
  policy: Policy,
  /** Declared ports; empty leaves the node's own configuration and discovery in charge. */
  ports: z._default(z.array(VpnPort).check(z.maxLength(64)), []),
});
export type NodePolicy = z.infer<typeof NodePolicy>;
