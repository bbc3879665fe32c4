import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * The lab's way to a service that listens on loopback: a port on another of this machine's addresses, forwarded. It can be cut
 * and mended, as a network can; a mended link has the same port.
 */
export class Link {
  readonly #target: URL;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  private constructor(target: string, host: string) {
    this.#target = new URL(target);
    this.#host = host;
  }

  /** A link from `host`, such as the lab's management address, to where `target` points. */
  static async open(target: string, host: string): Promise<Link> {
    const link = new Link(target, host);
    await link.mend();
    return link;
  }

  get url(): string {
    return `http://${this.#host}:${this.#port}`;
  }

  async mend(): Promise<void> {
    const server = createServer((near) => this.#forward(near));
    server.listen(this.#port, this.#host);
    await once(server, "listening");
    server.unref();
    this.#server = server;
    this.#port = (server.address() as { port: number }).port;
  }

  /** Breaks every connection and takes no new one. */
  async cut(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, "close");
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #forward(near: Socket): void {
    const far = connect(Number(this.#target.port), this.#target.hostname);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        near.destroy();
        far.destroy();
        this.#sockets.delete(socket);
      });
    }
    near.pipe(far).pipe(near);
  }
}
