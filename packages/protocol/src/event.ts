import { z } from "zod";
import { LaneId, Transport, VpnPort } from "./lane.ts";
import { Mode } from "./policy.ts";
import { TrafficVerdict, type Vector } from "./vector.ts";

const at = z.iso.datetime({ precision: 3 });
const count = z.number().nonnegative().finite();
const text = z.string().max(500);

export const AttackId = z.string().regex(/^atk_[A-Za-z0-9_-]{10,32}$/);
export const EventId = z.string().regex(/^evt_[A-Za-z0-9_-]{10,32}$/);

/** What is common to all events: written once, spooled, reported; `id` makes a second report harmless. */
const base = { id: EventId, at };

/** What is known of an attack at one moment. Rates are those of its lanes; `passedPps` is counted after the drop. */
const measured = {
  attack: AttackId,
  vector: TrafficVerdict,
  confidence: z.number().min(0).max(1),
  lane: LaneId,
  /** Absent for an attack on the host beside the VPN ports. */
  port: z.number().int().min(1).max(65535).optional(),
  transport: Transport.optional(),
  pps: count,
  bps: count,
  thresholdPps: count,
  passedPps: count,
  tunnels: z.number().int().nonnegative().nullable(),
};

const Share = z.strictObject({ key: z.string().max(64), share: z.number().min(0).max(1) });

/** Picture of the sampled packets: largest shares first, at most ten each. */
export const Profile = z.strictObject({
  samples: z.number().int().nonnegative(),
  sources: z.array(Share).max(10),
  /** Estimated number of distinct sources among the samples. */
  distinctSources: z.number().int().nonnegative(),
  sourcePorts: z.array(Share).max(10),
  destinationPorts: z.array(Share).max(10),
  lengths: z.array(Share).max(10),
  ttls: z.array(Share).max(10),
  spoofed: z.enum(["yes", "no", "unknown"]),
});
export type Profile = z.infer<typeof Profile>;

/** A mitigation in force: in words, and as the rules that the kernel holds. */
export const AppliedMitigation = z.strictObject({
  id: z.string().max(64),
  lane: LaneId,
  words: text,
  rules: z.array(z.string().max(1000)).max(32),
});
export type AppliedMitigation = z.infer<typeof AppliedMitigation>;

export const RuleHits = z.strictObject({ id: z.string().max(64), packets: count, bytes: count });

export const AgentEvent = z.discriminatedUnion("event", [
  z.strictObject({
    ...base,
    event: z.literal("agent.ready"),
    version: z.string().max(64),
    interfaces: z.array(z.string().max(32)).max(64),
    ports: z.array(VpnPort).max(64),
    mode: Mode,
    backend: z.string().max(32),
    tunnels: z.number().int().nonnegative().nullable(),
    /** Attacks taken over from a predecessor. */
    adopted: z.array(AttackId).max(64),
  }),
  z.strictObject({ ...base, event: z.literal("agent.stopped"), reason: text, leftInKernel: z.boolean() }),
  z.strictObject({ ...base, event: z.literal("agent.warning"), code: z.string().max(64), message: text }),
  z.strictObject({ ...base, event: z.literal("policy.applied"), revision: z.number().int().min(0), mode: Mode }),
  z.strictObject({ ...base, event: z.literal("policy.refused"), revision: z.number().int().min(0), reason: text }),
  z.strictObject({
    ...base,
    ...measured,
    event: z.literal("attack.started"),
    /** When the kernel is thought to have seen the first attack packet, and when its rate trip woke the agent. */
    firstPacketAt: at,
    trippedAt: at,
    tunnelsBefore: z.number().int().nonnegative().nullable(),
  }),
  z.strictObject({
    ...base,
    ...measured,
    event: z.literal("attack.classified"),
    evidence: z.array(text).max(16),
    profile: Profile,
  }),
  z.strictObject({
    ...base,
    event: z.literal("mitigation.applied"),
    attack: AttackId,
    mode: Mode,
    /** True in observe mode: the rules count what they would have dropped. */
    dryRun: z.boolean(),
    mitigations: z.array(AppliedMitigation).max(64),
  }),
  z.strictObject({
    ...base,
    event: z.literal("mitigation.removed"),
    attack: AttackId,
    reason: z.enum(["ended", "withdrawn", "policy", "expired", "rolled_back"]),
    hits: z.array(RuleHits).max(64),
  }),
  z.strictObject({
    ...base,
    ...measured,
    event: z.literal("attack.ended"),
    startedAt: at,
    /** The last moment at which the attack was above its threshold. */
    lastSeenAt: at,
    peakPps: count,
    peakBps: count,
    packets: count,
    droppedPackets: count,
    passedPackets: count,
    tunnelsBefore: z.number().int().nonnegative().nullable(),
    tunnelsLowest: z.number().int().nonnegative().nullable(),
    tunnelsAfter: z.number().int().nonnegative().nullable(),
    /** Tunnels known to have been lost, or null when nobody could tell. */
    usersDisconnected: z.number().int().nonnegative().nullable(),
  }),
]);
export type AgentEvent = z.infer<typeof AgentEvent>;
export type AgentEventOf<K extends AgentEvent["event"]> = Extract<AgentEvent, { event: K }>;

/** For callers that only look at attacks. */
export const isVector = (verdict: TrafficVerdict): verdict is Vector => verdict !== "reconnect_storm";
