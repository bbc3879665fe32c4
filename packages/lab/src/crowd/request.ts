import { z } from "zod";

export const MAX_CLIENTS = 5_000;
const MAX_TRIES = 18;

const port = z.number().int().min(1).max(65_535);
const ip = z.union([z.ipv4(), z.ipv6()]);

/** What a crowd's process is given when it starts: whom to talk to, and where from. */
export const CrowdRequest = z.strictObject({
  serverPublicKey: z.base64().length(44),
  server: z.strictObject({ address: ip, port }),
  /** One client for each: the address that its socket is bound to. */
  addresses: z.array(ip).min(1).max(MAX_CLIENTS),
});
export type CrowdRequest = z.infer<typeof CrowdRequest>;

export const ConnectOptions = z.strictObject({
  /** The first tries are spread evenly over so long. 0: all at once. */
  withinMs: z.number().min(0).max(60_000).default(0),
  /** Whoever has no answer after so many gives up. WireGuard itself does after 90 s (whitepaper 6.1). */
  tries: z.number().int().min(1).max(MAX_TRIES).default(6),
});
export type ConnectOptions = z.input<typeof ConnectOptions>;

export const DataOptions = z.strictObject({
  /** Packets a second of each client. */
  pps: z.number().positive().max(1_000),
  seconds: z.number().positive().max(60),
  /** What each carries besides the inner IPv6 header. */
  bytes: z.number().int().min(0).max(1_232).default(24),
});
export type DataOptions = z.input<typeof DataOptions>;

/** What the process is told on standard input, one JSON object a line. Each is answered by one line with its id. */
export const CrowdCommand = z.discriminatedUnion("do", [
  z.strictObject({ id: z.number(), do: z.literal("connect"), ...ConnectOptions.shape }),
  z.strictObject({ id: z.number(), do: z.literal("rebind") }),
  z.strictObject({ id: z.number(), do: z.literal("data"), ...DataOptions.shape }),
  z.strictObject({ id: z.number(), do: z.literal("initiations") }),
]);
export type CrowdCommand = z.infer<typeof CrowdCommand>;

/** How one client's handshake went. */
export const Outcome = z.strictObject({
  tries: z.number().int().positive(),
  /** From the first try to the finished handshake; null: it gave up. */
  ms: z.number().nonnegative().nullable(),
  /** Cookie replies: the server itself was under load. */
  cookies: z.number().int().nonnegative(),
  /** Longest time between two tries. Above 5.34 s this machine was late, not the client. */
  longestPauseMs: z.number().nonnegative(),
});
export type Outcome = z.infer<typeof Outcome>;

export const CrowdReport = z.discriminatedUnion("event", [
  z.strictObject({ event: z.literal("ready"), publicKeys: z.array(z.base64()) }),
  z.strictObject({ event: z.literal("connected"), id: z.number(), outcomes: z.array(Outcome) }),
  z.strictObject({ event: z.literal("rebound"), id: z.number() }),
  z.strictObject({
    event: z.literal("data"),
    id: z.number(),
    sent: z.number().int().nonnegative(),
    /** Of each on the wire, without UDP and IP headers. */
    packetBytes: z.number().int().nonnegative(),
  }),
  z.strictObject({ event: z.literal("initiations"), id: z.number(), messages: z.array(z.base64()) }),
  z.strictObject({ event: z.literal("refused"), id: z.number(), reason: z.string() }),
]);
export type CrowdReport = z.infer<typeof CrowdReport>;
