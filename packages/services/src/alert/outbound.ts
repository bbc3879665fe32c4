import { promises as dns } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { Agent, buildConnector, errors } from "undici";
import { z } from "zod";

/** What the operator of this deployment, not its customer, allows. */
export interface Deployment {
  /** Lets alerts reach loopback, also without TLS: for the demonstration and the tests, never in production. */
  allowLoopback: boolean;
}

export interface OutboundRequest {
  method: "POST" | "PUT";
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What became of one attempt. `retry`: it may go better later. `refused`: the same request would fail again. */
export type Outcome =
  | { result: "delivered"; status: number }
  | { result: "retry"; reason: string; status?: number; retryAfterMs?: number }
  | { result: "refused"; reason: string; status?: number };

/** All addresses of a name. Given by tests; production asks DNS. */
export type Resolve = (hostname: string) => Promise<string[]>;

export interface Outbound {
  send(request: OutboundRequest): Promise<Outcome>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 4_000;
const TOTAL_TIMEOUT_MS = 10_000;
const MAX_RESPONSE_HEADER_BYTES = 16_384;
/** Enough of an answer to tell a person why it was refused. */
const MAX_ANSWER_BYTES = 2_048;
const MAX_ANSWER_CHARACTERS = 200;

/** A customer's URL: https; http to loopback alone, where the deployment allows it. No credentials in it. */
export const targetUrl = ({ allowLoopback }: Deployment) =>
  z
    .string()
    .trim()
    .max(2048)
    .superRefine((value, ctx) => {
      const problem = problemOf(value, allowLoopback);
      if (problem) ctx.addIssue({ code: "custom", message: problem });
    });

function problemOf(value: string, allowLoopback: boolean): string | undefined {
  const url = parseUrl(value);
  if (!url) return "is not a URL";
  if (url.username || url.password) return "must not contain a user name or password";
  const host = bareHost(url.hostname);
  if (url.protocol === "http:")
    return allowLoopback && (host === "localhost" || isLoopback(host)) ? undefined : "must begin with https://";
  if (url.protocol !== "https:") return "must begin with https://";
  // A name is judged when it is connected to; an address can be judged while the form is still open.
  if (isIP(host) && !isAllowed(host, allowLoopback)) return "must not point to an internal address";
  return undefined;
}

/**
 * The one way out to addresses that customers chose. The address is judged when the connection is made, on the very
 * address that is connected to, so a name that changes its mind in between gains nothing. Never follows a redirect.
 */
export function openOutbound(options: Deployment & { resolve?: Resolve }): Outbound {
  const { allowLoopback, resolve = resolveByDns } = options;

  const lookup: LookupFunction = (hostname, { all }, done) => {
    allowedAddresses(hostname, resolve, allowLoopback).then(
      (addresses) => {
        const first = addresses[0]!;
        if (all) done(null, addresses);
        else done(null, first.address, first.family);
      },
      (error: Error) => done(error, ""),
    );
  };
  const connect = buildConnector({
    lookup,
    autoSelectFamily: true,
    timeout: CONNECT_TIMEOUT_MS,
  });
  const agent = new Agent({
    connect: (target, done) => {
      const host = bareHost(target.hostname);
      // Node looks up names only: an address in the URL goes straight to the socket.
      if (isIP(host) && !isAllowed(host, allowLoopback)) return done(new AddressRefused(host), null);
      connect(target, done);
    },
    headersTimeout: TOTAL_TIMEOUT_MS,
    bodyTimeout: TOTAL_TIMEOUT_MS,
    keepAliveTimeout: 10_000,
    keepAliveMaxTimeout: 30_000,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    pipelining: 1,
  });

  return {
    close: () => agent.close(),
    async send(request) {
      const problem = problemOf(request.url, allowLoopback);
      if (problem) return { result: "refused", reason: `the address ${problem}` };
      try {
        const { statusCode, headers, body } = await agent.request({
          origin: new URL(request.url).origin,
          path: pathOf(request.url),
          method: request.method,
          headers: { "user-agent": "alerts/1", ...request.headers },
          body: request.body,
          signal: AbortSignal.timeout(TOTAL_TIMEOUT_MS),
        });
        // The status decides; an answer that breaks off after it changes nothing.
        const answer = await readStart(body).catch(() => "");
        return judge(statusCode, headers["retry-after"]?.toString(), answer, new Date());
      } catch (error) {
        return failed(error);
      }
    },
  };
}

/** Pure. `retryAfter` is the header as it came: seconds or an HTTP date (RFC 9110, 10.2.3). */
export function judge(status: number, retryAfter: string | undefined, answer: string, now: Date): Outcome {
  if (status >= 200 && status < 300) return { result: "delivered", status };
  const said = answer.replace(/\s+/g, " ").trim().slice(0, MAX_ANSWER_CHARACTERS);
  const reason = said ? `answered ${status}: ${said}` : `answered ${status}`;
  if (status >= 300 && status < 400)
    return { result: "refused", status, reason: `answered ${status}: redirects are not followed` };
  if (status >= 500 || status === 429 || status === 408 || status === 425)
    return { result: "retry", status, reason, ...retryAfterOf(retryAfter, now) };
  return { result: "refused", status, reason };
}

function retryAfterOf(header: string | undefined, now: Date): { retryAfterMs?: number } {
  if (header === undefined) return {};
  if (/^\d{1,9}$/.test(header.trim())) return { retryAfterMs: Number(header) * 1000 };
  // Date.parse would take "-5" for a year.
  const at = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(at) ? {} : { retryAfterMs: Math.max(0, at - now.getTime()) };
}

function failed(error: unknown): Outcome {
  if (error instanceof AddressRefused) return { result: "refused", reason: error.message };
  // Happy eyeballs report all their attempts at once.
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  if (cause instanceof Error && cause.name === "TimeoutError")
    return { result: "retry", reason: `no answer within ${TOTAL_TIMEOUT_MS / 1000} s` };
  if (cause instanceof errors.InvalidArgumentError) return { result: "refused", reason: cause.message };
  if (cause instanceof Error) {
    const code = "code" in cause ? String(cause.code) : cause.name;
    return { result: "retry", reason: `${code}: ${cause.message}`.slice(0, MAX_ANSWER_CHARACTERS) };
  }
  throw error;
}

class AddressRefused extends Error {
  constructor(host: string) {
    super(`the address ${host.slice(0, 253)} is internal`);
  }
}

async function allowedAddresses(hostname: string, resolve: Resolve, allowLoopback: boolean) {
  // RFC 6761: localhost is loopback, whatever a name server says.
  const addresses = /^localhost\.?$/i.test(hostname) ? ["127.0.0.1", "::1"] : await resolve(hostname);
  if (addresses.length === 0) throw Object.assign(new Error(`${hostname} has no address`), { code: "ENOTFOUND" });
  // One internal address among public ones is an attempt, not a choice.
  if (!addresses.every((address) => isAllowed(address, allowLoopback))) throw new AddressRefused(hostname);
  return addresses.map((address) => ({ address, family: isIP(address) }));
}

/**
 * Asks the name servers themselves: getaddrinfo would let one slow name hold up every other alert in libuv's four threads,
 * and would read the host's own names.
 */
async function resolveByDns(hostname: string): Promise<string[]> {
  const resolver = new dns.Resolver({ timeout: 1_500, tries: 2 });
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  if (v4.status === "rejected" && v6.status === "rejected") throw v4.reason;
  return [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
}

/** A globally reachable unicast address; or loopback, where that is allowed. Fails closed on what it cannot read. */
export function isAllowed(address: string, allowLoopback: boolean): boolean {
  return (allowLoopback && isLoopback(address)) || isPublic(address);
}

function isPublic(address: string): boolean {
  const parsed = read(address);
  if (parsed?.range() !== "unicast") return false;
  // 168.63.129.16 is a public number under which Azure hosts reach their own platform.
  if (parsed.kind() === "ipv4") return parsed.toString() !== "168.63.129.16";
  // Only 2000::/3 is given out (IANA); the rest of "unicast" holds IPv4-compatible and unassigned space.
  return (parsed.toByteArray()[0]! & 0xe0) === 0x20;
}

const isLoopback = (address: string) => read(address)?.range() === "loopback";

function read(address: string) {
  // Node's own reading first: ipaddr.js also takes octal and three-part forms, of which libraries think differently.
  return isIP(address) !== 0 && ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
}

const bareHost = (hostname: string) => hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
const pathOf = (url: string) => {
  const { pathname, search } = new URL(url);
  return pathname + search;
};
function parseUrl(value: string): URL | null {
  try {
    return new URL(value);
  } catch {
    return null;
  }
}

/** The beginning of a body; what is too long is cut off with its connection. */
async function readStart(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    // Leaving the loop destroys the stream and its socket.
    if (bytes >= MAX_ANSWER_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString("utf8");
}
