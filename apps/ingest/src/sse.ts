import type { FastifyReply } from "fastify";

const HEARTBEAT_MS = 15_000;
const MAX_UNSENT_BYTES = 1_000_000;

/** Open event streams of this process. */
export class Streams {
  readonly #open = new Set<Stream>();
  readonly #heartbeat: NodeJS.Timeout;
  #ended = false;

  constructor() {
    this.#heartbeat = setInterval(() => {
      for (const stream of this.#open) stream.write(": here\n\n");
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  get size(): number {
    return this.#open.size;
  }

  /** Takes over the reply. `onClose` is called once, whoever ends it. */
  open(reply: FastifyReply, { maxAgeMs, onClose }: { maxAgeMs: number; onClose: () => void }): Stream {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      connection: "close",
    });
    raw.write(": open\n\n");
    const end = setTimeout(() => raw.end(), maxAgeMs);
    end.unref();
    const stream: Stream = {
      write: (text) => {
        if (raw.destroyed || raw.writableEnded) return;
        // A reader that does not keep up comes back and begins with a snapshot; nobody's memory grows for it.
        if (raw.writableLength > MAX_UNSENT_BYTES) raw.destroy();
        else raw.write(text);
      },
      end: () => raw.end(),
    };
    this.#open.add(stream);
    raw.once("close", () => {
      clearTimeout(end);
      this.#open.delete(stream);
      onClose();
    });
    if (this.#ended) raw.end();
    return stream;
  }

  /** Ends all, and every one that is opened later. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#heartbeat);
    for (const stream of this.#open) stream.end();
  }
}

export type Stream = { write(text: string): void; end(): void };

/** One server-sent event. JSON has no line breaks of its own. */
export const event = (data: unknown, name?: string): string =>
  `${name ? `event: ${name}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
