import {
  type Acquaintance,
  acquaint,
  finish,
  type Initiation,
  initiate,
  keyPair,
  readCookieReply,
  type Session,
  showCookie,
  TYPE,
  toData,
} from "../noise.ts";
import type { CrowdRequest, Outcome } from "./request.ts";

/** Whitepaper 6.1: Rekey-Timeout, and jitter of up to a third of a second (Linux timers.c). */
const RETRY_MS = 5_000;
const JITTER_MS = 333;
/** When the next try is made, in case it is needed: two hundred clients' tries at the moment they are due would delay each other. */
const AHEAD_MS = { least: 500, spread: 4_000 };
/** WireGuard throws a cookie away after two minutes (whitepaper 5.4.7). */
const COOKIE_MS = 120_000;

type Socket = Bun.udp.ConnectedSocket<"uint8array">;
type Attempt = {
  tries: number;
  triesLeft: number;
  cookies: number;
  firstAt: number;
  lastAt: number;
  longestPauseMs: number;
  next: Initiation;
  timers: NodeJS.Timeout[];
  done(outcome: Outcome): void;
};

/** One WireGuard client: a key, a socket, and WireGuard's timers for its handshake. */
export class Client {
  readonly #known: Acquaintance;
  readonly #server: CrowdRequest["server"];
  readonly #address: string;
  #socket: Socket | undefined;
  #attempt: Attempt | undefined;
  #sent: Initiation | undefined;
  #cookie: { bytes: Uint8Array; at: number } | undefined;
  session: Session | undefined;
  /** The initiation that the server took last. */
  accepted: Uint8Array | undefined;

  constructor(request: CrowdRequest, address: string) {
    this.#known = acquaint(keyPair(), Buffer.from(request.serverPublicKey, "base64"));
    this.#server = request.server;
    this.#address = address;
  }

  get publicKey(): string {
    return Buffer.from(this.#known.own.publicKey).toString("base64");
  }

  /** A socket on a port that the kernel chooses; the one before is closed only then, so that it is another. */
  async bind(): Promise<void> {
    const before = this.#socket;
    this.#socket = await Bun.udpSocket({
      hostname: this.#address,
      port: 0,
      connect: { hostname: this.#server.address, port: this.#server.port },
      binaryType: "uint8array",
      socket: { data: (_, bytes) => this.#receive(bytes), error: () => {} },
    });
    before?.close();
  }

  /** Makes the next initiation ahead of its time: a crowd's first tries shall go out when they are due. */
  prepare(tries: number, done: (outcome: Outcome) => void): void {
    const next = this.#initiation();
    this.#attempt = {
      ...{ tries: 0, triesLeft: tries, cookies: 0, firstAt: 0, lastAt: 0, longestPauseMs: 0 },
      ...{ next, timers: [], done },
    };
  }

  /** Sends what was prepared, and again every five seconds until the server answers. */
  try(): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    const now = performance.now();
    if (attempt.triesLeft === 0) {
      this.#end(null);
      return;
    }
    if (attempt.tries === 0) attempt.firstAt = now;
    else attempt.longestPauseMs = Math.max(attempt.longestPauseMs, now - attempt.lastAt);
    attempt.lastAt = now;
    attempt.tries += 1;
    attempt.triesLeft -= 1;
    this.#sent = attempt.next;
    const cookie = this.#cookie && now - this.#cookie.at < COOKIE_MS ? this.#cookie.bytes : undefined;
    if (cookie) showCookie(attempt.next, cookie);
    this.#socket?.send(attempt.next.message);
    const makeNext = () => {
      attempt.next = this.#initiation();
    };
    attempt.timers = [
      setTimeout(makeNext, AHEAD_MS.least + Math.random() * AHEAD_MS.spread),
      setTimeout(() => this.try(), RETRY_MS + Math.random() * JITTER_MS),
    ];
  }

  /** One data packet of its session, on the socket that it has now. Gives its length, or 0 if it could not be sent. */
  send(contents: Uint8Array): number {
    if (!this.session || !this.#socket) return 0;
    const packet = toData(this.session, contents);
    return this.#socket.send(packet) ? packet.length : 0;
  }

  #initiation(): Initiation {
    return initiate(this.#known, performance.timeOrigin + performance.now());
  }

  #receive(bytes: Uint8Array): void {
    const attempt = this.#attempt;
    if (!attempt || !this.#sent) return;
    if (bytes[0] === TYPE.cookieReply) {
      const cookie = readCookieReply(this.#sent, bytes);
      if (!cookie) return;
      attempt.cookies += 1;
      this.#cookie = { bytes: cookie, at: performance.now() };
    } else if (bytes[0] === TYPE.response) {
      const session = finish(this.#sent, bytes);
      if (!session) return;
      const ms = performance.now() - attempt.firstAt;
      this.session = session;
      this.accepted = this.#sent.message;
      // The server sends nothing on a session before it has had a packet of it (whitepaper 5.1): a keepalive confirms it.
      this.send(new Uint8Array(0));
      this.#end(ms);
    }
  }

  #end(ms: number | null): void {
    const { tries, cookies, longestPauseMs, timers, done } = this.#attempt!;
    timers.forEach(clearTimeout);
    this.#attempt = undefined;
    done({ tries, ms, cookies, longestPauseMs });
  }
}
