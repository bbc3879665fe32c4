import { type LaneId, portOf } from "@flowtriq/protocol/lane";

/** Cumulative packets: what known peers got through on each VPN port, and what each armed lane's rules took from addresses of peers. */
export type PeerReading = { at: number; data: ReadonlyMap<string, number>; taken: ReadonlyMap<LaneId, number> };

export type Rollback = {
  lane: LaneId;
  action: "rolled_back" | "restored";
  usualPps: number;
  pps: number;
  takenPps: number;
};

const READ_EVERY_MS = 1_000;
/** How much of what is usual a second of peace replaces: about ten seconds are remembered. */
const MEMORY = 0.1;
/** Fewer packets a second than this are no picture of anybody's peers. */
const LEAST_USUAL_PPS = 20;
/** Peers that get through less than this share of what is usual, for so many readings on end, have lost something. */
const FALLEN = 0.5;
const READINGS = 2;
/** And the rules must have taken at least this share of what they lost. */
const TAKEN_SHARE = 0.1;
const LEAST_TAKEN_PPS = 5;
/** A rule that was not to blame stands again after so long without recovery. */
const RECOVERY_MS = 3_000;
const RECOVERED = 0.75;

type Watched = { fallen: number; state: "armed" | "rolled_back" | "cleared"; since: number };

/**
 * The closed loop: rules that take packets from addresses of peers, while what known peers get through falls, are rolled back. If
 * that does not help they were not to blame and stand again for the rest of the attack. Both signs are needed: an
 * attacker who forges peers' addresses makes the first, a full link the second.
 */
export class ClosedLoop {
  readonly #usual = new Map<string, number>();
  readonly #lanes = new Map<LaneId, Watched>();
  #last: PeerReading | undefined;
  /** Of the last second, if it was calm: it is usual if the next one is calm too, because an attack is seen a little after it began. */
  #calm: ReadonlyMap<string, number> | undefined;

  /** Lanes whose rules are rolled back now. */
  get rolledBack(): LaneId[] {
    return [...this.#lanes].flatMap(([lane, { state }]) => (state === "rolled_back" ? [lane] : []));
  }

  /**
   * `wanted`: lanes that attacks call for now, rolled back or not; in peace none. `calm`: nothing is suspected either. Readings closer
   * than a second are passed over.
   */
  read(reading: PeerReading, wanted: readonly LaneId[], calm = wanted.length === 0): Rollback[] {
    const last = this.#last;
    if (last && reading.at - last.at < READ_EVERY_MS) return [];
    this.#last = { at: reading.at, data: new Map(reading.data), taken: new Map(reading.taken) };
    for (const lane of this.#lanes.keys()) if (!wanted.includes(lane)) this.#lanes.delete(lane);
    if (!last || reading.at <= last.at) return [];
    const seconds = (reading.at - last.at) / 1000;
    const pps = new Map(
      [...reading.data].map(([port, packets]) => [
        port,
        Math.max(0, packets - (last.data.get(port) ?? packets)) / seconds,
      ]),
    );
    if (calm && this.#calm) this.#learn(this.#calm);
    this.#calm = calm ? pps : undefined;
    return wanted.flatMap((lane) => {
      const taken = reading.taken.get(lane) ?? 0;
      return this.#judge(lane, reading.at, pps, Math.max(0, taken - (last.taken.get(lane) ?? taken)) / seconds);
    });
  }

  #learn(pps: ReadonlyMap<string, number>): void {
    for (const [port, now] of pps) {
      const usual = this.#usual.get(port);
      this.#usual.set(port, usual === undefined ? now : usual + (now - usual) * MEMORY);
    }
  }

  #judge(lane: LaneId, at: number, rates: ReadonlyMap<string, number>, takenPps: number): Rollback[] {
    const watched = this.#lanes.get(lane) ?? { fallen: 0, state: "armed", since: at };
    this.#lanes.set(lane, watched);
    const usualPps = sumFor(lane, this.#usual);
    const pps = sumFor(lane, rates);
    if (usualPps < LEAST_USUAL_PPS) return [];
    const told = (action: Rollback["action"]): Rollback[] => [{ lane, action, usualPps, pps, takenPps }];
    if (watched.state === "rolled_back") {
      if (pps >= usualPps * RECOVERED || at - watched.since < RECOVERY_MS) return [];
      watched.state = "cleared";
      return told("restored");
    }
    const guilty = takenPps >= Math.max(LEAST_TAKEN_PPS, (usualPps - pps) * TAKEN_SHARE);
    watched.fallen = pps < usualPps * FALLEN && guilty ? watched.fallen + 1 : 0;
    if (watched.state === "cleared" || watched.fallen < READINGS) return [];
    watched.state = "rolled_back";
    watched.since = at;
    return told("rolled_back");
  }
}

/** Of a VPN port's lane, that port's; of the host's lanes, all ports' together. */
function sumFor(lane: LaneId, byPort: ReadonlyMap<string, number>): number {
  const port = portOf(lane);
  if (port) return byPort.get(`${port.transport}:${port.port}`) ?? 0;
  return [...byPort.values()].reduce((sum, value) => sum + value, 0);
}
