export interface Stack {
  webUrl: string;
  ingestUrl: string;
  databaseUrl: string;
  redisUrl: string;
  /** Where the demonstration's alerts go: start a receiver of `@flowtriq/fakes/receiver` with it to take them. */
  receiver: { port: number; webhookSecret: string };
  /** Absent with `demo: false`. */
  demo?: { email: string; password: string; workspace: string; workspaceId: string; enrolmentToken: string };
  /** What its processes were given. */
  env: Record<string, string>;
  /** Resolves, to the words that say which, when a process ends that should not have. */
  broken: Promise<string>;
  /** Ends all of it and waits. */
  stop(): Promise<void>;
}

export const PORTS: Readonly<Record<"web" | "ingest" | "worker" | "receiver", number>>;

/**
 * Starts Postgres, Redis, ingest, worker and web on the data in `dir`; resolves when all answer. Web, ingest and worker must
 * have been built (`npm run setup`). Ports that are not given are `PORTS`; 0 takes any free one.
 */
export function startStack(options: {
  dir: string;
  ports?: Partial<Record<"web" | "ingest" | "worker" | "receiver", number>>;
  env?: Readonly<Record<string, string | undefined>>;
  dev?: boolean;
  demo?: boolean;
  log?: (line: string) => void;
}): Promise<Stack>;
