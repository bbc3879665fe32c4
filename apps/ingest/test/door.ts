import { useDatabase } from "@flowtriq/db/client";
import { aWorkspace } from "@flowtriq/db/factories";
import { freshDatabase, type TestDatabase } from "@flowtriq/db/testing";
import { AGENT_PATHS, EnrollResponse, type Report } from "@flowtriq/protocol/wire";
import { systemContext } from "@flowtriq/services/context";
import { openLog } from "@flowtriq/services/log";
import { createEnrolmentToken } from "@flowtriq/services/node";
import { inject } from "vitest";
import { type Env, readEnv } from "../src/env.ts";
import { type Ingest, startIngest } from "../src/ingest.ts";

export const SECRET = "a secret that is only used by these tests";

export type Door = Ingest & { db: TestDatabase };

export const environment = (url: string, more: Partial<Record<keyof Env, string>> = {}) => ({
  DATABASE_URL: url,
  REDIS_URL: inject("redisUrl"),
  APP_SECRET: SECRET,
  PORT: "0",
  LOG_LEVEL: "silent",
  ATTEMPTS_PER_MINUTE: "10000",
  ...more,
});

/** A real ingest on a database of its own. */
export async function openDoor(more: Partial<Record<keyof Env, string>> = {}): Promise<Door> {
  const db = await freshDatabase();
  const ingest = await startIngest(readEnv(environment(db.url, more)), openLog("test", "silent"));
  useDatabase(db); // the test's own connections outlive the process under test
  return {
    db,
    url: ingest.url,
    stop: async () => {
      await ingest.stop();
      await db.drop();
    },
  };
}

export const post = (url: string, path: string, body: unknown, key?: string) =>
  fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

export const enrollment = (token: string, machineId = crypto.randomUUID()) => ({
  token,
  machineId,
  hostname: "fra-01.example.test",
  agentVersion: "0.1.0",
  kernel: "6.1.0",
  ports: [{ port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" }],
});

/** A node of a new workspace, or of the given one, enrolled through the door. */
export async function enrolled(door: Pick<Door, "url">, workspaceId?: string) {
  const workspace = workspaceId ?? (await aWorkspace()).id;
  const { token } = await createEnrolmentToken(systemContext(workspace), {});
  const answer = await post(door.url, AGENT_PATHS.enroll, enrollment(token));
  const { nodeId, nodeKey } = EnrollResponse.parse(await answer.json());
  const report = (body: Report | object | string, key = nodeKey) => post(door.url, AGENT_PATHS.report, body, key);
  return { workspaceId: workspace, nodeId, nodeKey, token, report };
}

export type ServerEvent = { event: string; data: unknown };

/** A stream of server-sent events, read as they come. */
export class Events {
  readonly response: Response;
  readonly #abort: AbortController;
  readonly #seen: ServerEvent[] = [];
  #wake = () => {};
  #ended = false;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    void this.#read();
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<Events> {
    const abort = new AbortController();
    return new Events(await fetch(url, { headers, signal: abort.signal }), abort);
  }

  /** The first event that fits, from the start or the last one that was taken; those before it are gone. */
  async next(fits: (event: ServerEvent) => boolean = () => true): Promise<ServerEvent> {
    for (;;) {
      const index = this.#seen.findIndex(fits);
      if (index >= 0) return this.#seen.splice(0, index + 1).at(-1)!;
      if (this.#ended) throw new Error(`The stream ended without it. Seen: ${JSON.stringify(this.#seen)}`);
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  /** All that has come and was not taken. */
  get waiting(): readonly ServerEvent[] {
    return this.#seen;
  }

  close(): void {
    this.#abort.abort();
  }

  async ended(): Promise<void> {
    while (!this.#ended) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  async #read(): Promise<void> {
    let text = "";
    try {
      for await (const chunk of this.response.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const parts = text.split("\n\n");
        text = parts.pop()!;
        for (const part of parts) {
          const lines = part.split("\n");
          const value = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
          const data = value("data");
          if (data !== undefined) this.#seen.push({ event: value("event") ?? "message", data: JSON.parse(data) });
        }
        this.#wake();
      }
    } catch {
      // aborted, or the server is gone: `ended` says so
    }
    this.#ended = true;
    this.#wake();
  }
}
