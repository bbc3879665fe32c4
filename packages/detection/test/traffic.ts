import type { TrafficVerdict, Vector } from "@flowtriq/protocol/vector";
import { VECTORS } from "@flowtriq/protocol/vector";
import { type SampleContext, Summary, summarizeCapture } from "../src/features.ts";
import { LearnedState, laneOf } from "../src/lanes.ts";
import { attacks, trickles } from "./attacks.ts";
import { ordinary, storm } from "./ordinary.ts";
import { type Event, type Half, Script, World } from "./world.ts";

/** One generated case: what a classifier is shown, and what it is. */
export interface Case {
  seed: number;
  expected: TrafficVerdict | null;
  /** `capture`: both directions; `received`: only what arrives; `live`: samples of the lanes whose rates tripped. */
  view: "capture" | "received" | "live";
  /** For people: what it is made of. */
  made: string;
  summary: Summary;
  events: Event[];
}

const START = 1_700_000_000_000;
const LEGITIMATE_PART = 0.4;

export function generate(seed: number, half: Half): Case {
  const world = new World(seed * 7919 + (half === "training" ? 1 : 2), half);
  const script = new Script(world.choose([128, 192, 1514]));
  const view = world.choose(["capture", "received", "live"] as const);
  return world.chance(LEGITIMATE_PART) ? legitimate(world, script, view, seed) : attacked(world, script, view, seed);
}

const names = Object.keys(ordinary);
/** What never comes in such numbers that a rate trips. */
const TRICKLES = ["ping", "noise", "syslog", "snmpWalk", "ntpClient", "dnsClient", "portScan"];
const busy = names.filter((name) => !TRICKLES.includes(name));
const pick = (world: World, view: Case["view"]) => {
  const list = view === "live" ? busy : names;
  return list[world.int(0, list.length - 1)]!;
};

function legitimate(world: World, script: Script, view: Case["view"], seed: number): Case {
  if (world.chance(0.08)) return comeback(world, script, view, seed);
  const kinds = Array.from({ length: world.int(1, 4) }, () => pick(world, view));
  const count = world.scale(20, 2000);
  const duration = world.scale(500, 60_000);
  for (const kind of kinds) ordinary[kind]!(world, script, Math.ceil(count / kinds.length), START, START + duration);
  return finish(world, script, { seed, expected: null, view, made: kinds.join("+") });
}

/** Where the sessions that follow cannot be seen, only mac1 tells: so only WireGuard, with whole handshakes. */
function comeback(world: World, script: Script, view: Case["view"], seed: number): Case {
  const count = world.scale(120, 2000);
  storm(world, script, count, START + 6000, START + 6000 + world.scale(500, 10_000));
  const shown = view === "received" || (view === "live" && script.snapLength < 192) ? "capture" : view;
  const openvpn = script.events.some(({ packet }) => packet.destinationPort === world.vpn("openvpn"));
  return finish(world, script, { seed, expected: "reconnect_storm", view: openvpn ? "capture" : shown, made: "storm" });
}

function attacked(world: World, script: Script, view: Case["view"], seed: number): Case {
  const expected = VECTORS[world.int(0, VECTORS.length - 1)]!;
  // At least ten packets of the attack itself; the other share of the case is ordinary.
  const count = world.scale(expected === "multi_vector" ? 40 : 10, 2000);
  const share = world.chance(0.4) ? 0 : world.random() * 0.7;
  const parts = compose(world, expected);
  const pps = expected === "handshake_starvation" ? world.scale(20, 400) : world.scale(1500, 100_000);
  const duration = Math.max(20, (count / pps) * 1000);
  const from = START + world.int(0, 2000);
  script.hostile = true;
  for (const { attack, part } of parts)
    attack(world, script, Math.max(5, Math.round(count * part)), from, from + duration);
  script.hostile = false;
  const kinds: string[] = [];
  if (share > 0) {
    const total = Math.min(4000, Math.round((count * share) / (1 - share)) * 2);
    for (let i = world.int(1, 2); i > 0; i--) {
      const kind = pick(world, view);
      kinds.push(kind);
      ordinary[kind]!(world, script, total, START, Math.max(from + duration, START + 500));
    }
  }
  const made = `${parts.map(({ name }) => name).join("&")}${kinds.length > 0 ? ` in ${kinds.join("+")}` : ""}`;
  return finish(world, script, {
    seed,
    expected,
    view: expected === "handshake_starvation" && view === "live" ? "capture" : view,
    made,
  });
}

function compose(
  world: World,
  vector: Vector,
): { name: string; attack: (typeof attacks)["udp_flood"]; part: number }[] {
  if (vector === "handshake_starvation") return [{ name: vector, attack: trickles[world.int(0, 1)]!, part: 1 }];
  if (vector !== "multi_vector") return [{ name: vector, attack: attacks[vector], part: 1 }];
  const family = (name: string) => (/syn|ack|rst|tcp/.test(name) ? "tcp" : name);
  const all = Object.keys(attacks) as (keyof typeof attacks)[];
  const one = all[world.int(0, all.length - 1)]!;
  const others = all.filter(
    (name) => family(name) !== family(one) && name !== "udp_fragment_flood" && one !== "udp_fragment_flood",
  );
  const two = others.length > 0 ? others[world.int(0, others.length - 1)]! : "syn_flood";
  const part = 0.3 + world.random() * 0.4;
  return [
    { name: one, attack: attacks[one], part },
    { name: two, attack: attacks[two], part: 1 - part },
  ];
}

/** Packets of a lane that trip it, in a live case: fewer are not sampled. */
const LIVE_LANE_SHARE = 0.1;
const MAX_LIVE_SAMPLES = 200;

function finish(world: World, script: Script, about: Omit<Case, "summary" | "events">): Case {
  const events = script.events.sort((a, b) => a.at - b.at);
  const context: SampleContext = { ports: world.ports, mac1Keys: new Map([[world.vpn("wireguard"), world.mac1Key]]) };
  if (about.view === "live")
    return {
      ...about,
      events,
      summary: live(world, events, context, about.expected !== null && about.expected !== "reconnect_storm"),
    };
  const shown = about.view === "received" ? events.filter(({ sent }) => !sent) : events;
  return { ...about, events, summary: summarizeCapture(shown, context) };
}

function live(world: World, events: Event[], context: SampleContext, attack: boolean): Summary {
  const learned = new LearnedState(world.ports);
  const summary = new Summary(context);
  // The tunnels were up before: what the host sends in the whole case is known from the start.
  if (attack) for (const { sent, packet, at } of events) if (sent) learned.learn(packet, Math.min(at, START));
  const lanes = events.flatMap(({ sent, packet, at, hostile }) => {
    learned.advance(at);
    if (sent) learned.learn(packet, at);
    const lane = sent ? undefined : laneOf(packet, { ports: world.ports, learned });
    return lane === undefined ? [] : [{ lane, packet, at, hostile }];
  });
  const counts = new Map<string, number>();
  const attacked = new Set<string>();
  for (const { lane, hostile } of lanes) {
    counts.set(lane, (counts.get(lane) ?? 0) + 1);
    if (hostile) attacked.add(lane);
  }
  const hostile = lanes.filter((event) => event.hostile).length;
  // A flood trips its lane whatever else goes on; flags or ports that it rolls touch other lanes without tripping them.
  const tripped = lanes.filter(({ lane }) =>
    attacked.has(lane)
      ? counts.get(lane)! >= hostile * LIVE_LANE_SHARE
      : counts.get(lane)! >= lanes.length * LIVE_LANE_SHARE,
  );
  const step = Math.max(1, tripped.length / MAX_LIVE_SAMPLES);
  for (let i = 0; i < tripped.length; i += step) {
    const { packet, at, lane } = tripped[Math.floor(i)]!;
    summary.add(packet, at, lane);
  }
  return summary;
}
