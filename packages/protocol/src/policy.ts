import { z } from "zod";
import { VpnPort } from "./lane.ts";
import { Vector } from "./vector.ts";

/** `observe` counts what it would have dropped; `approve` waits for a person; `enforce` acts by itself. */
export const Mode = z.enum(["observe", "approve", "enforce"]);
export type Mode = z.infer<typeof Mode>;

/** An address or prefix in CIDR form, IPv4 or IPv6. */
export const Prefix = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);

/** What may happen by itself on a node. Every field has a default, so `{}` is a policy. */
export const Policy = z.strictObject({
  mode: Mode.default("observe"),
  /** Overrides of the mode for single vectors. */
  vectorModes: z.partialRecord(Vector, Mode).default({}),
  /** Threshold of a lane = this × its baseline, never below the lane's floor. */
  sensitivity: z.number().min(1.5).max(100).default(3),
  /** A lane must stay this long below half its threshold before its attack is over. */
  quietSeconds: z.number().int().min(5).max(600).default(20),
  /** The kernel keeps mitigating this long without hearing from the agent. */
  leaseSeconds: z.number().int().min(15).max(60).default(45),
  /** Never blocked, whatever they send: management networks, resolvers, monitoring. */
  neverBlock: z.array(Prefix).max(256).default([]),
  /** Manual thresholds in packets per second, by lane id; they replace floor and baseline. */
  thresholdsPps: z.record(z.string().max(64), z.number().int().min(1).max(100_000_000)).default({}),
});
export type Policy = z.infer<typeof Policy>;

export const DEFAULT_POLICY: Policy = Policy.parse({});

/** A policy as a node receives it. */
export const NodePolicy = z.strictObject({
  revision: z.number().int().min(0),
  policy: Policy,
  /** Declared ports; empty leaves the node's own configuration and discovery in charge. */
  ports: z.array(VpnPort).max(64).default([]),
});
export type NodePolicy = z.infer<typeof NodePolicy>;
