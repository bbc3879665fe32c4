import * as z from "zod/mini";
import { LaneId, Transport, VpnPort } from "./lane.ts";
import { Mode } from "./policy.ts";
import { TrafficVerdict, type Vector } from "./vector.ts";

const at = z.iso.datetime({ precision: 3 });
const count = z.number().check(z.nonnegative());
const text = z.string().check(z.maxLength(500));

export const AttackId = z.string().check(z.regex(/^atk_[A-Za-z0-9_-]{10,32}$/));
export const EventId = z.string().check(z.regex(/^evt_[A-Za-z0-9_-]{10,32}$/));

/** What is common to all events: written once, spooled, reported; `id` makes a second report harmless. */
const base = { id: EventId, at };

/** What is known of an attack at one moment. Rates are those of its lanes; `passedPps` is counted after the drop. */
const measured = {
  attack: AttackId,
  vector: TrafficVerdict,
  confidence: z.number().check(z.minimum(0), z.maximum(1)),
  lane: LaneId,
  /** Absent for an attack on the host beside the VPN ports. */
  port: z.optional(z.int().check(z.minimum(1), z.maximum(65535))),
  transport: z.optional(Transport),
  pps: count,
  bps: count,
  thresholdPps: count,
  passedPps: count,
  tunnels: z.nullable(z.int().check(z.nonnegative())),
};

const Share = z.strictObject({
  key: z.string().check(z.maxLength(64)),
  share: z.number().check(z.minimum(0), z.maximum(1)),
});

/** Picture of the sampled packets: largest shares first, at most ten each. */
export const Profile = z.strictObject({
  samples: z.int().check(z.nonnegative()),
  sources: z.array(Share).check(z.maxLength(10)),
  /** Estimated number of distinct sources among the samples. */
  distinctSources: z.int().check(z.nonnegative()),
  sourcePorts: z.array(Share).check(z.maxLength(10)),
  destinationPorts: z.array(Share).check(z.maxLength(10)),
  lengths: z.array(Share).check(z.maxLength(10)),
  ttls: z.array(Share).check(z.maxLength(10)),
  spoofed: z.enum(["yes", "no", "unknown"]),
});
export type Profile = z.infer<typeof Profile>;

/** A mitigation in force: in words, and as the rules that the kernel holds. */
export const AppliedMitigation = z.strictObject({
  id: z.string().check(z.maxLength(64)),
  lane: LaneId,
  words: text,
  rules: z.array(z.string().check(z.maxLength(1000))).check(z.maxLength(128)),
});
export type AppliedMitigation = z.infer<typeof AppliedMitigation>;

export const RuleHits = z.strictObject({ id: z.string().check(z.maxLength(64)), packets: count, bytes: count });

export const AgentEvent = z.discriminatedUnion("event", [
  z.strictObject({
    ...base,
    event: z.literal("agent.ready"),
    version: z.string().check(z.maxLength(64)),
    interfaces: z.array(z.string().check(z.maxLength(32))).check(z.maxLength(64)),
    ports: z.array(VpnPort).check(z.maxLength(64)),
    mode: Mode,
    backend: z.string().check(z.maxLength(32)),
    tunnels: z.nullable(z.int().check(z.nonnegative())),
    /** Attacks taken over from a predecessor. */
    adopted: z.array(AttackId).check(z.maxLength(64)),
  }),
  z.strictObject({ ...base, event: z.literal("agent.stopped"), reason: text, leftInKernel: z.boolean() }),
  z.strictObject({
    ...base,
    event: z.literal("agent.warning"),
    code: z.string().check(z.maxLength(64)),
    message: text,
  }),
  z.strictObject({ ...base, event: z.literal("policy.applied"), revision: z.int().check(z.minimum(0)), mode: Mode }),
  z.strictObject({ ...base, event: z.literal("policy.refused"), revision: z.int().check(z.minimum(0)), reason: text }),
  z.strictObject({
    ...base,
    ...measured,
    event: z.literal("attack.started"),
    /** When the kernel is thought to have seen the first attack packet, and when its rate trip woke the agent. */
    firstPacketAt: at,
    trippedAt: at,
    tunnelsBefore: z.nullable(z.int().check(z.nonnegative())),
  }),
  z.strictObject({
    ...base,
    ...measured,
    event: z.literal("attack.classified"),
    /** Reckoned anew, now that the rate is known. */
    firstPacketAt: z.optional(at),
    evidence: z.array(text).check(z.maxLength(16)),
    profile: Profile,
  }),
  z.strictObject({
    ...base,
    event: z.literal("mitigation.applied"),
    attack: AttackId,
    mode: Mode,
    /** True in observe mode: the rules count what they would have dropped. */
    dryRun: z.boolean(),
    mitigations: z.array(AppliedMitigation).check(z.maxLength(64)),
  }),
  z.strictObject({
    ...base,
    event: z.literal("mitigation.removed"),
    attack: AttackId,
    reason: z.enum(["ended", "withdrawn", "policy", "expired", "rolled_back"]),
    hits: z.array(RuleHits).check(z.maxLength(64)),
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
    tunnelsBefore: z.nullable(z.int().check(z.nonnegative())),
    tunnelsLowest: z.nullable(z.int().check(z.nonnegative())),
    tunnelsAfter: z.nullable(z.int().check(z.nonnegative())),
    /**
     * Users whose tunnel was in use when the attack began, died while it lasted, and came back: they had not meant to leave. Null when
     * nobody can tell, which is also so when such a tunnel has not come back: its user may have left. Tunnels that were silent before the
     * attack and ran out are not counted.
     */
    usersDisconnected: z.nullable(z.int().check(z.nonnegative())),
    /** What that rests on; absent where sessions are not known one by one. `live` and `inUse` at the beginning. */
    sessions: z.optional(z.strictObject({ live: count, inUse: count, lost: count, returned: count })),
    /** Handshakes that the VPN servers finished, a second: in the minute before the attack, and while it lasted. */
    handshakesBefore: z.optional(z.nullable(count)),
    handshakesDuring: z.optional(z.nullable(count)),
  }),
  z.strictObject({
    ...base,
    event: z.literal("capture.written"),
    attack: AttackId,
    /** Its name in the node's folder of captures, and what is in it. */
    file: z.string().check(z.maxLength(64)),
    packets: count,
    bytes: count,
    /** From its first packet to the attack's first; null when a restart has lost that moment. */
    secondsBefore: z.nullable(count),
    /** False when a bound, a full disk or a restart left packets out. */
    complete: z.boolean(),
  }),
]);
export type AgentEvent = z.infer<typeof AgentEvent>;
/** The kinds that this version knows. */
export const EVENT_KINDS: ReadonlySet<string> = new Set(
  AgentEvent._zod.def.options.flatMap((one) => one._zod.def.shape.event._zod.def.values),
);
export type AgentEventOf<K extends AgentEvent["event"]> = Extract<AgentEvent, { event: K }>;

/** For callers that only look at attacks. */
export const isVector = (verdict: TrafficVerdict): verdict is Vector => verdict !== "reconnect_storm";
