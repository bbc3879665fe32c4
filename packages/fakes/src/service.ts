import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { Policy } from "@flowtriq/protocol/policy";
import { AGENT_PATHS, EnrollRequest, type EnrollResponse, Report, type ReportResponse } from "@flowtriq/protocol/wire";

export interface AgentService {
  url: string;
  /** Enrolment tokens work once each. */
  tokens: Set<string>;
  /** Every event that came, in its order; one that was reported twice is here twice. */
  events: readonly AgentEvent[];
  /** What was refused, and why. */
  refusals: readonly string[];
  /** Takes the next reports and hangs up before the answer, as a network does that breaks at the wrong moment. */
  hangUp(times: number): void;
  stop(): Promise<void>;
}

const KEY = "nk_0123456789abcdef0123456789abcdef";
const MAX_BODY_BYTES = 16 << 20;

/** The agents' door without a product behind it: it takes only what the contract allows, and remembers what came. */
export async function startAgentService(policy: Partial<Policy> = {}): Promise<AgentService> {
  const tokens = new Set<string>();
  const events: AgentEvent[] = [];
  const refusals: string[] = [];
  let pranks = 0;
  const wanted = { revision: 1, policy: Policy.parse(policy), ports: [] };

  const refuse = (response: ServerResponse, status: number, why: string) => {
    refusals.push(`${status} ${why}`);
    response.writeHead(status).end();
  };
  const answer = (response: ServerResponse, body: EnrollResponse | ReportResponse) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));

  const server = createServer(async (request, response) => {
    const known = request.headers.authorization === `Bearer ${KEY}`;
    if (request.url === AGENT_PATHS.policyStream && known) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: policy\ndata: ${JSON.stringify(wanted)}\n\n`);
      return;
    }
    const body = await bodyOf(request);
    if (request.url === AGENT_PATHS.enroll) {
      const enrolment = EnrollRequest.safeParse(body);
      if (!enrolment.success) return refuse(response, 400, enrolment.error.message);
      if (!tokens.delete(enrolment.data.token)) return refuse(response, 401, "unknown token");
      return answer(response, { nodeId: "node_test", nodeKey: KEY, policy: wanted });
    }
    if (request.url !== AGENT_PATHS.report) return refuse(response, 404, String(request.url));
    if (!known) return refuse(response, 401, "unknown key");
    const report = Report.safeParse(body);
    if (!report.success) return refuse(response, 400, report.error.message);
    events.push(...report.data.events);
    if (pranks > 0) {
      pranks--;
      return request.socket.destroy();
    }
    return answer(response, { acknowledged: report.data.events.map(({ id }) => id), wantedRevision: wanted.revision });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens,
    events,
    refusals,
    hangUp: (times) => {
      pranks += times;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) {
    text += chunk;
    if (text.length > MAX_BODY_BYTES) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
