import { setTimeout as delay } from "node:timers/promises";
import type { AgentService } from "@flowtriq/fakes/service";
import { type Flood, flood } from "@flowtriq/lab/flood";
import type { Meter } from "@flowtriq/lab/meter";
import type { Topology } from "@flowtriq/lab/namespaces";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { MINIMAL, makeHome, ourRules, type RunningAgent, readEvents, startAgent } from "./agent.ts";

/** Quiet time and lease as short as the policy allows: every few kills an attack must have its end. */
const POLICY = { quietSeconds: 5, leaseSeconds: 15 };
const KILLS_PER_ATTACK = 4;
const LONGEST_LIFE_MS = 700;
/** The moment at which an attack ends lies in here, counted from its last packet. */
const AROUND_THE_END_MS = { from: 4_500, to: 6_500 };
const ENDED_WITHIN_MS = 40_000;

export type Ordeal = {
  kills: number;
  attacks: number;
  events: number;
  /** Attack packets that reached the host between a kill and the successor's readiness, while rules stood. */
  passedWhileDead: number;
  /** All of the following must be empty. */
  faults: {
    tornRules: number[];
    doubled: string[];
    notBegunOnce: string[];
    notEndedOnce: string[];
    lost: string[];
    unknown: string[];
  };
};

/**
 * Kills the agent again and again (SIGKILL) while attacks begin, go on and end, with a successor after each, and a service whose
 * answers now and then do not arrive. Moments are pseudo-random and the same in every run. The service's policy must hold `mode:
 * enforce` and the short times above.
 */
export async function endure(
  lab: Topology,
  meter: Meter,
  service: AgentService,
  { url, kills, onKill }: { url: string; kills: number; onKill?: (kill: number) => void },
): Promise<Ordeal> {
  const home = makeHome();
  const eventsFile = `${home}/events.jsonl`;
  const token = "tok_endurance_0123456789";
  service.tokens.add(token);
  const config = { ...MINIMAL, policy: POLICY, service: { url, token } };
  const random = numbers(7);
  const begin = () => startAgent(lab, config, home, { eventsFile });
  let agent: RunningAgent = await begin();
  const whole = shape(await ourRules(lab));
  const tornRules: number[] = [];
  let attack: Flood | undefined;
  let passedWhileDead = 0;
  try {
    for (let kill = 1; kill <= kills; kill++) {
      attack ??= await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
      if (kill % KILLS_PER_ATTACK === 0) {
        await attack.stop();
        attack = undefined;
        await delay(AROUND_THE_END_MS.from + random() * (AROUND_THE_END_MS.to - AROUND_THE_END_MS.from));
      } else await delay(random() * LONGEST_LIFE_MS);
      if (kill % 5 === 0) service.hangUp(1);
      await agent.end("SIGKILL");
      const guarded = openAttacks(readEvents(eventsFile)).some(({ applied }) => applied);
      const { passed } = await meter.read();
      if (shape(await ourRules(lab)) !== whole) tornRules.push(kill);
      agent = await begin();
      if (guarded && attack) passedWhileDead += (await meter.read()).passed.packets - passed.packets;
      onKill?.(kill);
    }
    await attack?.stop();
    attack = undefined;
    const deadline = Date.now() + ENDED_WITHIN_MS;
    const unsettled = () =>
      openAttacks(readEvents(eventsFile)).length > 0 || missing(readEvents(eventsFile), service.events).length > 0;
    while (unsettled() && Date.now() < deadline) await delay(100);
    await agent.end("SIGTERM");
  } finally {
    await attack?.stop().catch(() => {});
    await agent.end("SIGKILL");
  }
  return verdict(readEvents(eventsFile), service.events, { kills, passedWhileDead, tornRules });
}

function verdict(
  told: AgentEvent[],
  reported: readonly AgentEvent[],
  { kills, passedWhileDead, tornRules }: { kills: number; passedWhileDead: number; tornRules: number[] },
): Ordeal {
  const times = (kind: AgentEvent["event"], attack: string) =>
    told.filter((event) => event.event === kind && "attack" in event && event.attack === attack).length;
  const attacks = [...new Set(told.flatMap((event) => ("attack" in event ? [event.attack] : [])))];
  const ids = told.map(({ id }) => id);
  return {
    kills,
    attacks: attacks.length,
    events: told.length,
    passedWhileDead,
    faults: {
      tornRules,
      doubled: ids.filter((id, index) => ids.indexOf(id) !== index),
      notBegunOnce: attacks.filter((attack) => times("attack.started", attack) !== 1),
      notEndedOnce: attacks.filter((attack) => times("attack.ended", attack) !== 1),
      // The last word is told on the way out, and may wait in the spool.
      lost: missing(told.slice(0, -1), reported),
      unknown: missing(reported, told),
    },
  };
}

const missing = (these: readonly AgentEvent[], those: readonly AgentEvent[]): string[] => {
  const known = new Set(those.map(({ id }) => id));
  return these.filter(({ id }) => !known.has(id)).map(({ id, event }) => `${event} ${id}`);
};

function openAttacks(told: AgentEvent[]): { attack: string; applied: boolean }[] {
  const open = new Map<string, { attack: string; applied: boolean }>();
  for (const event of told) {
    if (event.event === "attack.started") open.set(event.attack, { attack: event.attack, applied: false });
    if (event.event === "mitigation.applied") open.set(event.attack, { attack: event.attack, applied: true });
    if (event.event === "attack.ended") open.delete(event.attack);
  }
  return [...open.values()];
}

/** The rules but for the rates at which they wake the agent: those follow what is normal. */
const shape = (rules: string) =>
  rules.replace(/limit rate over \d+\/second burst \d+ packets/g, "limit rate over normal");

/** The same numbers in every run, between 0 and 1 (a linear congruential generator, Numerical Recipes' constants). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
