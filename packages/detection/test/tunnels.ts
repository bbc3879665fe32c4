import type { World } from "./world.ts";

/** A sample that the agent gets, or a reading of how many packets have come. */
export type Step =
  | { at: number; session: number; counter: number; place: { from: number; sport: number } }
  | { at: number; arrived: number };

const SECONDS = 8;
/** As in the kernel: one packet in so many is looked at, at most so many are handed up at once, and then fifty a second. */
const SAMPLED = { oneIn: 16, burst: 64, perMs: 0.05 };

type Tunnel = {
  session: number;
  weight: number;
  counter: number;
  /** Numbers for each packet that arrives: the others were lost. */
  step: number;
  /** How far packets overtake one another. */
  depth: number;
  double: boolean;
  until: number;
  restartAt: number;
  places: { from: number; sport: number }[];
};

/**
 * Genuine tunnels of any number and rate as an agent sees them above a lane's threshold: lossy, reordered, doubled, restarted, over
 * several lines, in bursts, and with an agent that stands still now and then, so that samples and readings come late.
 */
export function* ordinaryTunnels(world: World): Generator<Step> {
  const tunnels = Array.from({ length: world.scale(1, 60) }, (_, number) => tunnelOf(world, number + 1));
  const [usual, swing, period] = [world.scale(50, 2_000), world.random(), world.int(50, 3_000)];
  let arrived = 0;
  let credit = SAMPLED.burst;
  let stalledUntil = 0;
  for (let at = 0; at < SECONDS * 1_000; at++) {
    const live = tunnels.filter(({ until }) => at < until);
    if (live.length === 0) return;
    const came = Math.round(usual * (1 + swing * Math.sin((at / period) * 2 * Math.PI)));
    credit = Math.min(SAMPLED.burst, credit + SAMPLED.perMs);
    for (let order = 0; order < came && credit >= 1; order += SAMPLED.oneIn, credit--) {
      const tunnel = chosen(world, live);
      const { session, places } = tunnel;
      const now = tunnel.counter + packetsOf(tunnel, live, order) * tunnel.step - world.int(0, tunnel.depth);
      const counter = Math.max(0, Math.floor(tunnel.double ? now / 2 : now)) % 2 ** 32;
      yield { at: Math.max(at, stalledUntil), session, counter, place: world.choose(places) };
    }
    for (const tunnel of live) {
      tunnel.counter += packetsOf(tunnel, live, came) * tunnel.step;
      if (at === tunnel.restartAt) tunnel.counter = 0;
    }
    arrived += came;
    if (world.chance(0.0005)) stalledUntil = at + world.int(0, 500);
    if (at >= stalledUntil && world.chance(0.005)) yield { at, arrived };
  }
}

function tunnelOf(world: World, session: number): Tunnel {
  const place = () => ({ from: world.int(0x0b000000, 0xdf000000), sport: world.port() });
  return {
    session,
    weight: world.scale(1, 1_000),
    counter: world.int(0, 2 ** 31),
    step: world.chance(0.3) ? world.scale(1, 20) : 1,
    depth: world.chance(0.5) ? world.scale(1, 6_000) : 0,
    double: world.chance(0.1),
    until: world.chance(0.3) ? world.int(0, SECONDS * 1_000) : Number.POSITIVE_INFINITY,
    restartAt: world.chance(0.1) ? world.int(0, SECONDS * 1_000) : -1,
    places: Array.from({ length: world.chance(0.1) ? 3 : 1 }, place),
  };
}

const weightOf = (tunnels: readonly Tunnel[]) => tunnels.reduce((sum, { weight }) => sum + weight, 0);
const packetsOf = ({ weight }: Tunnel, all: readonly Tunnel[], packets: number) => (packets * weight) / weightOf(all);

function chosen(world: World, tunnels: readonly Tunnel[]): Tunnel {
  let left = world.random() * weightOf(tunnels);
  for (const tunnel of tunnels) {
    left -= tunnel.weight;
    if (left < 0) return tunnel;
  }
  return tunnels[0]!;
}
