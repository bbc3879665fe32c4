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
/** Fewer lost tunnels than this share come and go all day. */
const LOST_SHARE = 0.25;
const LEAST_TUNNELS = 5;
/** How long it is remembered how many tunnels there were: briefly while they are up, longer while they are missed. */
const MEMORY = { upSeconds: 120, missedSeconds: 1_800 };
/** Many clients' data together is even enough for its fall to mean something. */
const DATA = { leastPps: 1_000, lostShare: 0.3, mostTimes: 3, seconds: 3 };

/**
 * Who may be coming back. Handshakes that nobody finishes are a flood, unless tunnels were there a moment ago and are gone:
 * then a server was restarted, is down, or is overrun by its own clients.
 */
export class Comebacks {
  /** Most tunnels of late. */
  #tunnels = 0;
  /** Data packets a second of late, by port. */
  readonly #data = new Map<VpnPort, number>();

  take(seconds: number, { tunnels, rates }: Readings, ports: readonly VpnPort[]): void {
    // What is gone altogether is remembered until somebody is back.
    if (tunnels !== null && tunnels > 0) {
      const memory = this.#lost(tunnels) > 0 ? MEMORY.missedSeconds : MEMORY.upSeconds;
      this.#tunnels = Math.max(tunnels, this.#tunnels * 0.5 ** (seconds / memory));
    }
    for (const port of ports) {
      const pps = rates.get(vpnLane(port, "data"))?.pps ?? 0;
      const old = this.#data.get(port) ?? pps;
      this.#data.set(port, old + (pps - old) * Math.min(1, seconds / DATA.seconds));
    }
  }

  /** Handshakes a second on this lane that returning clients explain; undefined where nobody is missed. */
  of(lane: LaneId, { tunnels }: Readings, limits: Limits, ports: readonly VpnPort[]): Comeback | undefined {
    const mine = portsOfServer(lane, ports);
    const lost = this.#lost(tunnels ?? 0);
    if (lost > 0) {
      const retry = (mine[0] && RETRY_PPS[mine[0].protocol]) ?? OTHER_RETRY_PPS;
      const words = `${Math.round(this.#tunnels)} tunnels were up, and ${tunnels ?? 0} are: their clients come back`;
      return { pps: lost * retry, words, from: "tunnels" };
    }
    const fallen = this.#dataLost(mine, limits);
    if (fallen < DATA.lostShare) return undefined;
    const words = `the data of its clients has fallen by ${Math.round(fallen * 100)} %: they come back`;
    return { pps: limits.of(lane).pps * DATA.mostTimes, words, from: "data" };
  }

  /** Share of the usual data that is missing; 0 where there is too little of it to tell. */
  #dataLost(ports: readonly VpnPort[], limits: Limits): number {
    let usual = 0;
    let now = 0;
    for (const port of ports) {
      usual += limits.of(vpnLane(port, "data")).usualPps;
      now += this.#data.get(port) ?? 0;
    }
    return usual < DATA.leastPps ? 0 : Math.max(0, 1 - now / usual);
  }

  #lost(tunnels: number): number {
    const lost = this.#tunnels - tunnels;
    return this.#tunnels >= LEAST_TUNNELS && lost >= this.#tunnels * LOST_SHARE ? lost : 0;
  }
}
