import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { Webhook } from "standardwebhooks";
import { answerAsSlack, type SlackMessage } from "./slack.ts";

export type ReceiverKind = "slack" | "webhook";

/** One request that was accepted. `receivedAt` is when its last byte had arrived. */
export type Delivery =
  | { kind: "slack"; receivedAt: Date; message: SlackMessage }
  | { kind: "webhook"; receivedAt: Date; id: string; timestamp: Date; payload: unknown };

export type DeliveryOf<K extends ReceiverKind> = Extract<Delivery, { kind: K }>;

/** One request that was not: why, and what was answered (0: the connection was cut). */
export interface Refusal {
  kind: ReceiverKind | "unknown";
  receivedAt: Date;
  path: string;
  id?: string;
  status: number;
  why: string;
}

/** How the next requests of a kind are treated instead. */
export type Misbehaviour =
  | { do: "answer"; status: number; headers?: Record<string, string>; body?: string }
  /** Treats the request properly, later. */
  | { do: "delay"; ms: number }
  /** Accepts the request, records it, and cuts the connection before the answer. */
  | { do: "take and hang up" }
  | { do: "hang up" };

export interface ReceiverOptions {
  /** 0 takes a free one. */
  port?: number;
  host?: string;
  /** `whsec_` and base64, as in Standard Webhooks; made up when absent. */
  webhookSecret?: string;
  onDelivery?: (delivery: Delivery) => void;
}

export interface Receiver {
  /** Origin, without a slash at its end. */
  url: string;
  slackUrl: string;
  webhookUrl: string;
  webhookSecret: string;
  deliveries: readonly Delivery[];
  refusals: readonly Refusal[];
  /** Number of connections accepted so far, whatever was said on them. */
  connections(): number;
  /** The oldest delivery that `next` has not given yet; waits for one. Rejects after `timeoutMs` (default 10,000). */
  next<K extends ReceiverKind = ReceiverKind>(options?: { kind?: K; timeoutMs?: number }): Promise<DeliveryOf<K>>;
  misbehave(kind: ReceiverKind, times: number, how: Misbehaviour): void;
  stop(): Promise<void>;
}

interface Waiter {
  kind: ReceiverKind | undefined;
  take: (delivery: Delivery) => void;
}

const SLACK_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";
const WEBHOOK_PATH = "/webhook";
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * A local server that takes alerts as strictly as the services it stands for: Slack's incoming webhooks and a receiver of
 * Standard Webhooks that verifies signature and time. Every other path is a 404.
 */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const webhookSecret = options.webhookSecret ?? `whsec_${randomBytes(24).toString("base64")}`;
  const verifier = new Webhook(webhookSecret);
  const deliveries: Delivery[] = [];
  const refusals: Refusal[] = [];
  const untaken: Delivery[] = [];
  const waiters: Waiter[] = [];
  const pranks: Record<ReceiverKind, Misbehaviour[]> = { slack: [], webhook: [] };
  let connections = 0;

  const record = (delivery: Delivery) => {
    deliveries.push(delivery);
    const waiter = waiters.findIndex(({ kind }) => kind === undefined || kind === delivery.kind);
    if (waiter >= 0) waiters.splice(waiter, 1)[0]?.take(delivery);
    else untaken.push(delivery);
    options.onDelivery?.(delivery);
  };

  const app = fastify({ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true });
  app.server.on("connection", () => {
    connections += 1;
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));

  const door =
    (kind: ReceiverKind, accept: (request: FastifyRequest, body: string, receivedAt: Date) => Accepted) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const receivedAt = new Date();
      const id = request.headers["webhook-id"]?.toString();
      const refuse = (status: number, why: string) =>
        refusals.push({ kind, receivedAt, path: request.url, ...(id && { id }), status, why });

      const prank = pranks[kind].shift();
      if (prank?.do === "hang up") {
        refuse(0, "hung up on purpose");
        request.raw.socket.destroy();
        return reply.hijack();
      }
      if (prank?.do === "answer") {
        refuse(prank.status, "failed on purpose");
        return reply
          .code(prank.status)
          .headers(prank.headers ?? {})
          .send(prank.body ?? "");
      }
      if (prank?.do === "delay") await new Promise((resolve) => setTimeout(resolve, prank.ms));

      const { status, body, delivery, why } = accept(request, String(request.body ?? ""), receivedAt);
      if (delivery) record(delivery);
      else refuse(status, why ?? body);
      if (prank?.do === "take and hang up") {
        request.raw.socket.destroy();
        return reply.hijack();
      }
      return reply.code(status).type("text/plain; charset=utf-8").send(body);
    };

  app.post(
    SLACK_PATH,
    door("slack", (request, body, receivedAt) => {
      const answer = answerAsSlack(request.headers["content-type"], body);
      return answer.status === 200
        ? { ...answer, delivery: { kind: "slack", receivedAt, message: answer.message } }
        : answer;
    }),
  );
  app.post(
    WEBHOOK_PATH,
    door("webhook", (request, body, receivedAt) => acceptSigned(verifier, request, body, receivedAt)),
  );
  app.setNotFoundHandler((request, reply) => {
    refusals.push({ kind: "unknown", receivedAt: new Date(), path: request.url, status: 404, why: "no such path" });
    // Slack's words for an address that was never given out or was taken back.
    return reply.code(404).type("text/plain; charset=utf-8").send("no_service");
  });

  const host = options.host ?? "127.0.0.1";
  await app.listen({ host, port: options.port ?? 0 });
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${(app.server.address() as AddressInfo).port}`;

  return {
    url,
    slackUrl: url + SLACK_PATH,
    webhookUrl: url + WEBHOOK_PATH,
    webhookSecret,
    deliveries,
    refusals,
    connections: () => connections,
    next: <K extends ReceiverKind = ReceiverKind>({
      kind,
      timeoutMs = 10_000,
    }: {
      kind?: K;
      timeoutMs?: number;
    } = {}) =>
      new Promise<DeliveryOf<K>>((resolve, reject) => {
        // `kind` filters to K, and without it K is every kind.
        const give = (delivery: Delivery) => resolve(delivery as DeliveryOf<K>);
        const ready = untaken.findIndex((delivery) => kind === undefined || delivery.kind === kind);
        const first = ready >= 0 ? untaken.splice(ready, 1)[0] : undefined;
        if (first) return give(first);
        const waiter: Waiter = {
          kind,
          take: (delivery) => {
            clearTimeout(timer);
            give(delivery);
          },
        };
        const timer = setTimeout(() => {
          waiters.splice(waiters.indexOf(waiter), 1);
          const last = refusals.at(-1);
          const hint = last ? `; last refusal: ${last.status} ${last.why}` : "";
          reject(new Error(`no ${kind ?? "delivery"} within ${timeoutMs} ms${hint}`));
        }, timeoutMs);
        waiters.push(waiter);
      }),
    misbehave: (kind, times, how) => {
      pranks[kind].push(...Array<Misbehaviour>(times).fill(how));
    },
    stop: () => app.close(),
  };
}

interface Accepted {
  status: number;
  body: string;
  delivery?: Delivery;
  why?: string;
}

function acceptSigned(verifier: Webhook, request: FastifyRequest, body: string, receivedAt: Date): Accepted {
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return { status: 415, body: "content-type must be application/json" };
  const id = request.headers["webhook-id"]?.toString() ?? "";
  const timestamp = request.headers["webhook-timestamp"]?.toString() ?? "";
  const signature = request.headers["webhook-signature"]?.toString() ?? "";
  // The library reads `12abc` as 12; the specification wants an integer, and an id that cannot move the signed boundary.
  if (!/^\d{10}$/.test(timestamp)) return { status: 400, body: "webhook-timestamp must be integer seconds" };
  if (!/^[^\s.]{1,256}$/.test(id)) return { status: 400, body: "webhook-id is missing or has a full stop" };
  let payload: unknown;
  try {
    payload = verifier.verify(body, {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": signature,
    });
  } catch (error) {
    return { status: 401, body: "signature refused", why: error instanceof Error ? error.message : String(error) };
  }
  return {
    status: 204,
    body: "",
    delivery: { kind: "webhook", receivedAt, id, timestamp: new Date(Number(timestamp) * 1000), payload },
  };
}
