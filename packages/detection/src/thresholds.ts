import type { LaneId } from "@flowtriq/protocol/lane";

/**
 * Where looking for an attack begins on a host that has learned nothing yet, by lane class. `burst` packets above `pps` wake the
 * agent: small where nothing genuine can arrive in numbers (the sender proved nothing), large where a crowd is ordinary.
 */
export type Floor = {
  pps: number;
  bps: number;
  burst: number;
  /** The same, of a lane that has been learned for a whole day: what is usual there is known, so less is unusual. */
  learned: { pps: number; bps: number };
  /** Usual rates that leave the threshold at the floor; up to these a lane may learn at any pace. */
  unlearned: { pps: number; bps: number };
};

const MBIT = 1_000_000;
const FLOORS: Record<string, Pick<Floor, "pps" | "bps" | "burst">> = {
  data: { pps: 20_000, bps: 1_000 * MBIT, burst: 2_000 },
  handshake: { pps: 500, bps: 5 * MBIT, burst: 100 },
  control: { pps: 1_000, bps: 20 * MBIT, burst: 200 },
  unissued: { pps: 2_000, bps: 40 * MBIT, burst: 100 },
  malformed: { pps: 1_000, bps: 20 * MBIT, burst: 100 },
  udp: { pps: 20_000, bps: 400 * MBIT, burst: 1_000 },
  reflected: { pps: 1_000, bps: 10 * MBIT, burst: 100 },
  fragment: { pps: 2_000, bps: 40 * MBIT, burst: 200 },
  syn: { pps: 1_000, bps: 5 * MBIT, burst: 200 },
  synack: { pps: 1_000, bps: 5 * MBIT, burst: 200 },
  rst: { pps: 2_000, bps: 10 * MBIT, burst: 200 },
  tcp: { pps: 30_000, bps: 400 * MBIT, burst: 2_000 },
  icmp: { pps: 1_000, bps: 10 * MBIT, burst: 100 },
  gre: { pps: 2_000, bps: 40 * MBIT, burst: 200 },
  esp: { pps: 2_000, bps: 40 * MBIT, burst: 200 },
  ah: { pps: 2_000, bps: 40 * MBIT, burst: 200 },
  protocol: { pps: 1_000, bps: 20 * MBIT, burst: 100 },
};

/** So far above its threshold, and so many packets, nobody waits for a lane's traffic to last. */
export const FLAGRANT = { factor: 10, packets: 1_000, unfinished: 0.02 };

/** How far learning lowers a floor, and the rates below which nothing is looked at, because crowds of them come and go. */
const LEARNED_SHARE = 1 / 6;
const LEARNED_LEAST = { pps: 500, bps: 5 * MBIT };
const UNLEARNED_SHARE = 1 / 3;

export const classOf = (lane: LaneId): string => lane.slice(lane.lastIndexOf(":") + 1);

/** Lanes on which every packet comes from somebody who has proved nothing: their rate alone is evidence. */
export const isStrangerLane = (lane: LaneId): boolean => STRANGERS.has(classOf(lane));
const STRANGERS = new Set(["unissued", "malformed", "reflected", "synack"]);

/** Genuine traffic of unknown kind: its rate alone is never an attack, however far it rises. */
export const isOrdinary = (lane: LaneId): boolean => ORDINARY.has(classOf(lane));
const ORDINARY = new Set(["data", "tcp", "udp"]);

/** Strangers come in gusts, and proved peers may send what they like: what is usual of them says nothing below the floor. */
const FIXED = new Set([...STRANGERS, "data"]);

const WHOLE: ReadonlyMap<string, Floor> = new Map(
  Object.entries(FLOORS).map(([cls, floor]) => {
    const lowered = (value: number, least: number) =>
      FIXED.has(cls) ? value : Math.max(value * LEARNED_SHARE, Math.min(value, least));
    const learned = { pps: lowered(floor.pps, LEARNED_LEAST.pps), bps: lowered(floor.bps, LEARNED_LEAST.bps) };
    const unlearned = { pps: floor.pps * UNLEARNED_SHARE, bps: floor.bps * UNLEARNED_SHARE };
    return [cls, { ...floor, learned, unlearned }];
  }),
);
export const floorOf = (lane: LaneId): Floor => WHOLE.get(classOf(lane))!;
