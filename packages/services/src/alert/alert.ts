import type { Transition } from "@flowtriq/db/schema/channel";
import type { Mode } from "@flowtriq/protocol/policy";
import type { Severity, TrafficVerdict } from "@flowtriq/protocol/vector";
import type { z } from "zod";
import type { Deployment, OutboundRequest } from "./outbound.ts";

interface Envelope {
  /** The same in every attempt, so that a receiver can tell a repetition. */
  id: string;
  /** Of this attempt. */
  sentAt: Date;
  workspace: { id: string; name: string };
}

/** A person asked whether the channel works. */
export interface TestAlert extends Envelope {
  about: "test";
  channel: { id: string; name: string };
}

/** The incident as it is known when the message is sent. Rates in packets and bits per second. */
export interface IncidentAlert extends Envelope {
  about: "incident";
  transition: Transition;
  node: { id: string; name: string };
  incident: {
    id: string;
    /** Page of the incident in the dashboard. */
    url: string;
    startedAt: Date;
    endedAt: Date | null;
    vector: TrafficVerdict;
    confidence: number;
    severity: Severity;
    /** Null for an attack on the host beside its VPN ports. */
    target: { port: number; transport: "udp" | "tcp" } | null;
    peakPps: number;
    peakBps: number;
    /** Null until the node has said it. */
    mode: Mode | null;
    /** First attack packet to rules in force; null while nothing is dropped. */
    mitigatedAfterMs: number | null;
    /** Live tunnels, now or when it was over; null when nobody could tell. */
    tunnels: number | null;
    tunnelsBefore: number | null;
    /** Tunnels known to have been lost; null when nobody could tell. */
    usersDisconnected: number | null;
  };
}

/** One message to one channel. */
export type Alert = IncidentAlert | TestAlert;

/** Whose name stands on the message: a brand row. */
export interface AlertBrand {
  name: string;
  supportEmail: string;
}

/** One kind of destination, all of it in one file. `render` is pure: equal arguments give equal bytes. */
export interface Channel<Settings> {
  settings(deployment: Deployment): z.ZodType<Settings>;
  render(alert: Alert, brand: AlertBrand, settings: Settings): OutboundRequest;
}
