import { openDatabase } from "@flowtriq/db/client";
import type { Logger } from "@flowtriq/services/log";

export interface Ear {
  close(): Promise<void>;
}

const PING = "ping";
const HEARD_WITHIN_MS = 2_000;

/**
 * Hears one Postgres channel, and notices when it has gone deaf (a database that restarted, a connection that died
 * silently): every `checkMs` it says something into the channel itself. `onNotice` is also called after each start, since
 * what was said before was not heard.
 */
export function listen(
  { url, channel, checkMs = 10_000, log }: { url: string; channel: string; checkMs?: number; log: Logger },
  onNotice: () => void,
): Ear {
  let closed = false;
  let wakeCheck: (() => void) | undefined;
  const rest = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakeCheck = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function stayOpen() {
    while (!closed) {
      // Connections of its own: after a failure the library neither repairs a subscription nor allows a new one.
      const own = openDatabase({ url, connections: 1, systemConnections: 1 });
      try {
        let heard: (() => void) | undefined;
        await own.raw.system.listen(channel, () => {
          heard?.();
          onNotice();
        });
        onNotice();
        while (!closed) {
          await rest(checkMs);
          if (closed) break;
          const answer = new Promise<boolean>((resolve) => {
            heard = () => resolve(true);
            setTimeout(resolve, HEARD_WITHIN_MS, false).unref();
          });
          await own.raw.system.notify(channel, PING);
          if (!(await answer)) throw new Error(`nothing heard on ${channel}`);
        }
      } catch (error) {
        if (!closed) log.warn({ err: error }, "listening again");
      } finally {
        await own.close().catch(() => {});
      }
      if (!closed) await rest(500);
    }
  }

  const done = stayOpen();
  return {
    close: async () => {
      closed = true;
      wakeCheck?.();
      await done;
    },
  };
}
