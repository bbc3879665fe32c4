import { type LaneId, type VpnPort, type VpnProtocol, vpnLane } from "@flowtriq/protocol/lane";
import type { Comeback } from "./comeback.ts";
import { type Handshakes, handshakesOf, portsOfServer } from "./handshakes.ts";
import type { Counts } from "./readings.ts";

/**
 * Openings that are never finished, far below any volume, take the places of those who log in: OpenVPN answers 100 first packets
 * in 10 s, all clients together (mudp.c); IKE keeps a half-open state for each; WireGuard turns to cookies (whitepaper 5.3).
 * Samples do not come at such rates, so the counters must tell: what is opened above the usual, and not finished above the usual.
 */
const LEAST_UNFINISHED_PPS: Partial<Record<VpnProtocol, number>> = {
  openvpn: 12,
  ike: 25,
  ipsec_nat_t: 25,
  wireguard: 12,
};
/** A server that still finishes this share of what came on top is busy, not starved. */
const FINISHED_SHARE = 0.2;
/** Losses make clients repeat themselves: of a busy server this share of the usual openings is nothing yet. */
const RETRIED_SHARE = 0.5;
const HELD_MS = 2_000;
/** A server that is short of places sends cookies to everybody. */
const LEAST_COOKIES = 10;
/** From so many a second on, even a server that finishes as fast as it can may look starved by its own clients. */
const CROWD_PPS = 100;

/** Full seconds that are kept, and the one that has begun. OpenVPN answers the first 100 of ten seconds, and then nobody. */
const SECONDS = 11;
/** Of these the openings are summed; what the server finishes, over all of them. */
const OPENED_SECONDS = 5;
const USUAL_SECONDS = 1_800;

/** One handshake lane's last seconds: what was opened, finished and answered in each, oldest first. */
class Watch {
  readonly lane: LaneId;
  readonly #port: VpnPort;
  readonly #server: VpnPort[];
  #before: Handshakes | undefined;
  readonly #opened = new Float64Array(SECONDS + 1);
  readonly #finished = new Float64Array(SECONDS + 1);
  readonly #cookies = new Float64Array(SECONDS + 1);
  readonly #sent = new Float64Array(SECONDS + 1);
  readonly #lengths = new Float64Array(SECONDS + 1);
  #usualOpened = 0;
  #usualFinished = 0;
  #learned = 0;
  #overSince: number | undefined;
  #countsSent = false;

  constructor(port: VpnPort, ports: readonly VpnPort[]) {
    this.#port = port;
    this.lane = vpnLane(port, "handshake");
    this.#server = portsOfServer(this.lane, ports);
  }

  /** `calm`: nobody suspects the lane of anything, so this is as usual. */
  take(seconds: number, counts: Counts, calm: boolean): void {
    const before = this.#before;
    const now = handshakesOf(counts, this.lane, this.#server);
    this.#before = now;
    if (!before || !now) return;
    if (this.#lengths[SECONDS]! >= 0.95) this.#shift(calm);
    this.#lengths[SECONDS]! += seconds;
    this.#opened[SECONDS]! += Math.max(0, now.opened - before.opened);
    this.#finished[SECONDS]! += Math.max(0, now.finished - before.finished);
    this.#cookies[SECONDS]! += difference(before.cookies, now.cookies) ?? 0;
    this.#sent[SECONDS]! += difference(before.sent, now.sent) ?? 0;
    this.#countsSent = now.sent !== undefined;
  }

  /** The newest second is full: the oldest goes, and if nothing is wrong it was as usual. */
  #shift(calm: boolean): void {
    const seconds = this.#lengths[0]!;
    if (seconds > 0 && calm && this.#overSince === undefined) {
      this.#learned = Math.min(USUAL_SECONDS, this.#learned + seconds);
      const pull = seconds / Math.max(this.#learned, seconds);
      this.#usualOpened += (this.#opened[0]! / seconds - this.#usualOpened) * pull;
      this.#usualFinished += (this.#finished[0]! / seconds - this.#usualFinished) * pull;
    }
    for (const row of [this.#opened, this.#finished, this.#cookies, this.#sent, this.#lengths]) {
      row.copyWithin(0, 1);
      row[SECONDS] = 0;
    }
  }

  /** A gap, or a clock that was set: the last seconds are not the last. */
  forget(): void {
    this.#before = undefined;
    for (const row of [this.#opened, this.#finished, this.#cookies, this.#sent, this.#lengths]) row.fill(0);
    this.#overSince = undefined;
  }

  /** What was opened above the usual and not finished; the openings of the second that has begun do not count yet. */
  get #unfinished(): { pps: number; openedPps: number; finishedPps: number } {
    const from = SECONDS - OPENED_SECONDS;
    const openedPps =
      sum(this.#opened, from, SECONDS) / Math.max(sum(this.#lengths, from, SECONDS), OPENED_SECONDS - 1);
    const finishedPps = sum(this.#finished) / Math.max(sum(this.#lengths), OPENED_SECONDS);
    // Who finishes is genuine: more openings than the server finished can never have been usual.
    const usual = Math.min(this.#usualOpened, this.#usualFinished);
    const more = Math.max(0, finishedPps - this.#usualFinished);
    return { pps: openedPps - usual - more, openedPps: openedPps - usual, finishedPps: more };
  }

  /** From so many on it starves. */
  get leastPps(): number {
    const least = LEAST_UNFINISHED_PPS[this.#port.protocol] ?? Number.POSITIVE_INFINITY;
    return Math.max(least, Math.min(this.#usualOpened, this.#usualFinished) * RETRIED_SHARE);
  }

  get unfinishedPps(): number {
    return this.#unfinished.pps;
  }

  isStarving(at: number, comeback: () => Comeback | undefined): boolean {
    const starving = this.#isShort() && !isCrowd(this.unfinishedPps, comeback());
    this.#overSince = starving ? (this.#overSince ?? at) : undefined;
    return starving && at - this.#overSince! >= HELD_MS;
  }

  #isShort(): boolean {
    const { pps, openedPps, finishedPps } = this.#unfinished;
    if (pps < this.leastPps || finishedPps >= openedPps * FINISHED_SHARE) return false;
    // A server that sends nothing at all has nobody to starve: it is down, or has no client.
    if (this.#countsSent && sum(this.#sent) === 0) return false;
    return this.#port.protocol !== "wireguard" || sum(this.#cookies) >= LEAST_COOKIES;
  }

  words(): string[] {
    const from = SECONDS - OPENED_SECONDS;
    const seconds = Math.round(sum(this.#lengths, from));
    const [opened, finished] = [sum(this.#opened, from), sum(this.#finished, from)].map(Math.round);
    const cookies = Math.round(sum(this.#cookies));
    const round = (value: number) => Math.round(value * 10) / 10;
    return [
      `${opened} handshakes were opened in ${seconds} s, ${round(this.unfinishedPps)} a second more than were finished`,
      `the server answered with ${finished} of the packets that finish one; usual are ${round(this.#usualFinished)} a second`,
      ...(cookies > 0 ? [`it is under load: ${cookies} cookie replies`] : []),
      "too few to flood it, enough to take the places of those who log in",
    ];
  }
}

/** Are these openings those of the server's own clients, who come back faster than it can finish them? */
const isCrowd = (pps: number, comeback: Comeback | undefined) =>
  comeback !== undefined && (comeback.from === "tunnels" ? comeback.pps >= pps : pps >= CROWD_PPS);

const difference = (before: number | undefined, now: number | undefined) =>
  before === undefined || now === undefined ? undefined : Math.max(0, now - before);

function sum(row: Float64Array, from = 0, end = row.length): number {
  let all = 0;
  for (let i = from; i < end; i++) all += row[i]!;
  return all;
}

/** Watches the handshakes of every server whose places can be taken. */
export class Starvations {
  readonly #watches: Watch[];

  constructor(ports: readonly VpnPort[]) {
    this.#watches = ports
      .filter(({ transport, protocol }) => transport === "udp" && LEAST_UNFINISHED_PPS[protocol] !== undefined)
      .map((port) => new Watch(port, ports));
  }

  take(seconds: number, counts: Counts, isCalm: (lane: LaneId) => boolean): void {
    for (const watch of this.#watches) watch.take(seconds, counts, isCalm(watch.lane));
  }

  forget(): void {
    for (const watch of this.#watches) watch.forget();
  }

  /** Lanes that starve now; `comebackOf` says who may be coming back there. */
  *starving(
    at: number,
    comebackOf: (lane: LaneId) => Comeback | undefined,
  ): Generator<{ lane: LaneId; words: string[] }> {
    for (const watch of this.#watches) {
      if (watch.isStarving(at, () => comebackOf(watch.lane))) yield { lane: watch.lane, words: watch.words() };
    }
  }

  /** True while a lane is above half of what starves it. */
  isOver(lane: LaneId): boolean {
    const watch = this.#watches.find((candidate) => candidate.lane === lane);
    return watch !== undefined && watch.unfinishedPps > watch.leastPps / 2;
  }
}
