import * as z from "zod/mini";
import { AgentEvent, EVENT_KINDS, EventId } from "./event.ts";
import { VpnPort } from "./lane.ts";
import { Observation } from "./observation.ts";
import { NodePolicy } from "./policy.ts";

/**
 * The agents' door, JSON over HTTPS, served by ingest.
 * POST /agent/v1/enroll         EnrollRequest -> EnrollResponse        token in the body, once
 * POST /agent/v1/report         Report -> ReportResponse               Authorization: Bearer <node key>
 * GET  /agent/v1/policy/stream  text/event-stream of `policy` events   Authorization: Bearer <node key>; data: NodePolicy
 * Errors are application/problem+json (RFC 9457); 503 carries Retry-After.
 */
export const AGENT_PATHS = {
  enroll: "/agent/v1/enroll",
  report: "/agent/v1/report",
  policyStream: "/agent/v1/policy/stream",
} as const;

export const EnrollRequest = z.strictObject({
  token: z.string().check(z.minLength(16), z.maxLength(200)),
  /** Chosen once by the node and kept: enrolling twice gives the same node. */
  machineId: z.string().check(z.minLength(8), z.maxLength(128)),
  hostname: z.string().check(z.minLength(1), z.maxLength(253)),
  agentVersion: z.string().check(z.maxLength(64)),
  kernel: z.string().check(z.maxLength(200)),
  ports: z.array(VpnPort).check(z.maxLength(64)),
});
export type EnrollRequest = z.infer<typeof EnrollRequest>;

export const EnrollResponse = z.strictObject({
  nodeId: z.string().check(z.maxLength(64)),
  /** Shown once; the service keeps only its hash. */
  nodeKey: z.string().check(z.maxLength(200)),
  policy: NodePolicy,
});
export type EnrollResponse = z.infer<typeof EnrollResponse>;

export const MAX_REPORT_EVENTS = 200;
export const MAX_REPORT_OBSERVATIONS = 120;

export const Report = z.strictObject({
  sentAt: z.iso.datetime({ precision: 3 }),
  agentVersion: z.string().check(z.maxLength(64)),
  /** The policy revision in force, and why a newer one was not taken. */
  appliedRevision: z.int().check(z.minimum(0)),
  policyError: z.optional(z.string().check(z.maxLength(500))),
  events: z.array(AgentEvent).check(z.maxLength(MAX_REPORT_EVENTS)),
  observations: z.array(Observation).check(z.maxLength(MAX_REPORT_OBSERVATIONS)),
});
export type Report = z.infer<typeof Report>;

/** No more of an event than who and what, to tell one of a kind that only newer agents have. */
const AnyEvent = z.object({ id: EventId, event: z.string().check(z.regex(/^[a-z_]+(\.[a-z_]+)+$/), z.maxLength(64)) });

/**
 * A report as an older service can read it: without events of kinds that it does not know, whose ids are given back, because a node that
 * is newer than its service must be able to go on. What else is wrong with the report stays in it.
 */
export function withoutNewerEvents(body: unknown): { body: unknown; newer: string[] } {
  const events = (body as { events?: unknown } | null | undefined)?.events;
  if (!Array.isArray(events) || events.length > MAX_REPORT_EVENTS) return { body, newer: [] };
  const newer = new Map<unknown, string>();
  for (const event of events) {
    const { data } = AnyEvent.safeParse(event);
    if (data && !EVENT_KINDS.has(data.event)) newer.set(event, data.id);
  }
  if (newer.size === 0) return { body, newer: [] };
  return {
    body: { ...(body as object), events: events.filter((event) => !newer.has(event)) },
    newer: [...newer.values()],
  };
}

export const ReportResponse = z.strictObject({
  /** Events that are stored now, the ones seen before included: the node may forget them. */
  acknowledged: z.array(EventId).check(z.maxLength(MAX_REPORT_EVENTS)),
  wantedRevision: z.int().check(z.minimum(0)),
});
export type ReportResponse = z.infer<typeof ReportResponse>;

/** One server-sent event of a browser's live stream. */
export const LiveFrame = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("observation"),
    nodeId: z.string(),
    at: z.string(),
    pps: z.number(),
    bps: z.number(),
    droppedPps: z.number(),
    passedPps: z.number(),
    tunnels: z.nullable(z.number()),
  }),
  /** Something about this incident is new: fetch it again. */
  z.strictObject({ type: z.literal("incident"), incidentId: z.string(), change: z.string() }),
  /** A node enrolled, changed or applied a policy. */
  z.strictObject({ type: z.literal("node"), nodeId: z.string(), change: z.string() }),
]);
export type LiveFrame = z.infer<typeof LiveFrame>;
