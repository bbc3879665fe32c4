import postgres from "postgres";

export type Listener = { close(): Promise<void> };

export type ListenOptions = {
  url: string;
  /** What to do with each channel's notices. */
  on: Readonly<Record<string, (payload: string) => void>>;
  /** Listening, from now on: at the start and after each loss. What was said before was not heard, so read it again. */
  onListening?: () => void;
  onLost?: (error: unknown) => void;
};

const CHECK_MS = 10_000;
const ANSWER_WITHIN_MS = 5_000;
const RETRY_MS = [50, 200, 500, 1000, 2000];

/** One connection that hears notices and opens itself again when it is lost. Resolves when it listens for the first time. */
export async function listen({ url, on, onListening, onLost }: ListenOptions): Promise<Listener> {
  let closed = false;
  let failures = 0;
  let current: postgres.Sql | undefined;
  let retry: NodeJS.Timeout | undefined;

  const open = async () => {
    let lost = false;
    const lose = (error: unknown) => {
      if (lost) return;
      lost = true;
      clearInterval(check);
      void client.end({ timeout: 0 }).catch(() => {});
      if (closed) return;
      onLost?.(error);
      retry = setTimeout(() => void open().catch(() => {}), RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
    };
    // The library's own `listen` gives up for good when the database is away at the first attempt to repair itself.
    const options = {
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
      fetch_types: false,
      connection: { role: "app", application_name: "listener" },
      connect_timeout: 5,
      onnotice: () => {},
      onnotify: (channel: string, payload: string) => on[channel]?.(payload),
      onclose: () => lose(new Error("The connection that listens was closed.")),
    };
    const client = postgres(url, options);
    current = client;
    const check = setInterval(() => {
      const late = setTimeout(() => lose(new Error("The connection that listens does not answer.")), ANSWER_WITHIN_MS);
      client`select 1`.then(
        () => clearTimeout(late),
        (error: unknown) => {
          clearTimeout(late);
          lose(error);
        },
      );
    }, CHECK_MS);
    try {
      for (const channel of Object.keys(on)) await client.unsafe(`listen "${channel}"`);
    } catch (error) {
      lose(error);
      throw error;
    }
    failures = 0;
    onListening?.();
  };

  await open().catch((error: unknown) => {
    closed = true;
    clearTimeout(retry);
    throw error;
  });
  return {
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await current?.end({ timeout: 1 }).catch(() => {});
    },
  };
}
