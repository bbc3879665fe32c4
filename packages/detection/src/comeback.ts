import { type LaneId, type VpnPort, type VpnProtocol, vpnLane } from "@flowtriq/protocol/lane";
import { portsOfServer } from "./handshakes.ts";
import type { Limits } from "./limits.ts";
import type { Readings } from "./readings.ts";

/**
 * Clients that have lost their tunnel and try again: so many handshakes a second are theirs, and why we think so. Where nobody
 * counts tunnels, the fall of their data tells it less surely.
 */
export type Comeback = { pps: number; words: string; from: "tunnels" | "data" };

/** Handshakes a second of one client that gets no answer: WireGuard repeats after 5 s, OpenVPN and IKE after 1 to 4 s at first. */
const RETRY_PPS: Partial<Record<VpnProtocol, number>> = { wireguard: 0.4 };
const OTHER_RETRY_PPS = 1;
/** Fewer lost tunnels than this share come and go all day; once more are missed, they are until nearly all are back. */
const LOST_SHARE = 0.25;
const BACK_SHARE = 0.02;
const LEAST_TUNNELS = 5;
/** How long it is remembered how many tunnels there were: briefly while they are up, longer while they are missed. */
const MEMORY = { upSeconds: 120, missedSeconds: 3_600 };
/** Many clients' data together is even enough for its fall to mean something. */
const DATA = { leastPps: 1_000, lostShare: 0.3, backShare: 0.05, mostTimes: 3, seconds: 3 };

/**
 * Who may be coming back. Handshakes that nobody finishes are a flood, unless tunnels were there a moment ago and are gone:
 * then a server was restarted, is down, or is overrun by its own clients.
 */
export class Comebacks {
  /** Most tunnels of late, and whether many of them are gone. */
  #tunnels = 0;
  #missed = false;
  /** Data packets a second of late, and what was usual before much of it was gone (0: it is not), by port. */
  readonly #data = new Map<VpnPort, { pps: number; missedPps: number }>();

  take(seconds: number, { tunnels, rates }: Readings, limits: Limits, ports: readonly VpnPort[]): void {
    const lost = this.#tunnels - (tunnels ?? 0);
    this.#missed = this.#tunnels >= LEAST_TUNNELS && lost >= this.#tunnels * (this.#missed ? BACK_SHARE : LOST_SHARE);
    // What is gone altogether is remembered until somebody is back.
    if (tunnels !== null && tunnels > 0) {
      const memory = this.#missed ? MEMORY.missedSeconds : MEMORY.upSeconds;
      this.#tunnels = Math.max(tunnels, this.#tunnels * 0.5 ** (seconds / memory));
    }
    for (const port of ports) {
      const lane = vpnLane(port, "data");
      const pps = rates.get(lane)?.pps ?? 0;
      const data = this.#data.get(port) ?? { pps, missedPps: 0 };
      this.#data.set(port, data);
      data.pps += (pps - data.pps) * Math.min(1, seconds / DATA.seconds);
      // What is usual follows the loss soon; what was usual when it began does not.
      const usual =
        data.missedPps > 0 ? data.missedPps * 0.5 ** (seconds / MEMORY.missedSeconds) : limits.of(lane).usualPps;
      const lost = 1 - data.pps / usual;
      data.missedPps = lost >= (data.missedPps > 0 ? DATA.backShare : DATA.lostShare) ? usual : 0;
    }
  }

  /** Handshakes a second on this lane that returning clients explain; undefined where nobody is missed. */
  of(lane: LaneId, { tunnels }: Readings, limits: Limits, ports: readonly VpnPort[]): Comeback | undefined {
    const mine = portsOfServer(lane, ports);
    if (this.#missed) {
      const lost = this.#tunnels - (tunnels ?? 0);
      const retry = (mine[0] && RETRY_PPS[mine[0].protocol]) ?? OTHER_RETRY_PPS;
      const words = `${Math.round(this.#tunnels)} tunnels were up, and ${tunnels ?? 0} are: their clients come back`;
      return { pps: lost * retry, words, from: "tunnels" };
    }
    const fallen = this.#dataLost(mine);
    if (fallen === 0) return undefined;
    const words = `the data of its clients has fallen by ${Math.round(fallen * 100)} %: they come back`;
    return { pps: limits.of(lane).pps * DATA.mostTimes, words, from: "data" };
  }

  /** Share of the usual data that is missing; 0 where there is too little of it to tell, or not much is. */
  #dataLost(ports: readonly VpnPort[]): number {
    let missed = 0;
    let now = 0;
    for (const port of ports) {
      const data = this.#data.get(port);
      if (!data || data.missedPps === 0) continue;
      missed += data.missedPps;
      now += data.pps;
    }
    return missed < DATA.leastPps ? 0 : Math.max(0, 1 - now / missed);
  }
}
