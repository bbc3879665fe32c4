import { type LaneId, portOf } from "@flowtriq/protocol/lane";
import { describe, test } from "vitest";
import {
  attacksIn,
  CORPORA,
  copiesIn,
  corpus,
  fixtures,
  fromKnownPeers,
  type Outcome,
  type Source,
  Stage,
} from "./scenes.ts";

const isRoot = process.getuid?.() === 0;
const legitimate = [...corpus("legit"), ...fixtures(/^(legitimate\.|reconnect_storm)/)];
const reflection = corpus("attacks").find(({ name }) => name === "tcp-synack-reflection--stopddos.pcap");
if (!reflection) console.warn(`skipped: no captures in ${CORPORA} (CORPORA_DIR); the product's own recordings remain`);

/** `npm run bench -- captures` plays them at their own pace for up to 20 s each. */
const OWN_PACE = { gapMs: 500, longestMs: 1_500 };
const FAST = { ...OWN_PACE, speed: 10 };

async function onStage<T>(act: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = await Stage.set();
  try {
    return await act(stage);
  } finally {
    await stage.strike();
  }
}

const playedWhole = ({ played, report, verdicts }: Outcome) => ({
  refused: report.refused.length,
  missing: played.filter(({ way }, number) => way === "in" && !verdicts.arrived.has(number)).length,
});

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("captures through the kernel's rules", () => {
  const byName = legitimate.map((source): [string, Source] => [source.name, source]);

  test.concurrent.for(byName)("%s passes whole while the agent enforces", async ([, source], { expect }) => {
    await onStage(async (stage) => {
      for (const pace of [OWN_PACE, FAST]) {
        const outcome = await stage.enforced(source, pace);
        expect(playedWhole(outcome)).toEqual({ refused: 0, missing: 0 });
        expect(attacksIn(outcome.events)).toEqual([]);
        expect(outcome.dropped).toEqual([]);
        expect(Object.fromEntries(outcome.byLane)).toEqual({});
      }
    });
  });

  test.concurrent.for(byName)(
    "whom the host has answered loses nothing of %s with all armed",
    async ([, source], { expect }) => {
      const outcome = await onStage((stage) => stage.armed(source, OWN_PACE));
      expect(playedWhole(outcome)).toEqual({ refused: 0, missing: 0 });
      const known = fromKnownPeers(outcome.played);
      // A known session's packet that comes twice is what the rules are there to drop.
      const copies = copiesIn(outcome.played);
      expect(outcome.dropped.filter((number) => known.has(number) && !copies.has(number))).toEqual([]);
      // Where handshakes are armed, a stranger's first one is what the rules are there to drop.
      const excused = (lane: LaneId) =>
        lane.endsWith(":handshake") || (lane.endsWith(":data") && outcome.byLane.get(lane)! <= copies.size);
      const fromVpnPorts = [...outcome.byLane.keys()].filter((lane) => portOf(lane) !== undefined && !excused(lane));
      // A slice of 0.14 s: the session is older than it, and it shows no packet of the server's that could prove the client.
      const cut = source.name.startsWith("openvpn-udp-under-attack");
      if (!cut) expect(fromVpnPorts).toEqual([]);
    },
  );

  // Otherwise the tests above would pass without any rule.
  test("the same way of looking sees what armed rules drop", async ({ expect }) => {
    const [source] = fixtures(/^dns_amplification/);
    const outcome = await onStage((stage) => stage.armed(source!, FAST));
    // The others are the later fragments of long answers: ten of them are within what that lane lets pass.
    expect(outcome.dropped).toHaveLength(22);
    expect(Object.fromEntries(outcome.byLane)).toEqual({ "host:reflected": 22 });
  });

  test.skipIf(!reflection)(
    "a SYN-ACK reflection is dropped, and the client in its midst loses nothing",
    async ({ expect }) => {
      // The capture lasts 0.15 s, as long as an agent may take on a busy machine: it is played over and over.
      const outcome = await onStage(async (stage) => {
        await stage.give(reflection!);
        return stage.enforced(reflection!, { gapMs: 1_000, longestMs: 1_000 }, 20);
      });
      expect(playedWhole(outcome)).toEqual({ refused: 0, missing: 0 });
      const numbers = (which: (packet: Outcome["played"][number]["packet"]) => boolean) =>
        outcome.played.flatMap(({ packet }, number) => (which(packet) ? [number] : []));
      const client = numbers(({ protocol, destinationPort }) => protocol === 17 && destinationPort === 1194);
      expect(client).toHaveLength(20 * 73);
      expect(client.filter((number) => !outcome.verdicts.passed.has(number))).toEqual([]);
      expect(attacksIn(outcome.events).map(({ vector }) => vector)).toContain("syn_ack_reflection");
      const answers = numbers(({ protocol, tcpFlags }) => protocol === 6 && (tcpFlags & 0x12) === 0x12);
      const since = answers.filter((number) => number >= outcome.dropped[0]!);
      const dropped = since.filter((number) => !outcome.verdicts.passed.has(number));
      expect(dropped.length / since.length).toBeGreaterThan(0.99);
      // Those who refused in the same reflection go with them, once somebody has judged it.
      const refusals = numbers(({ protocol, tcpFlags }) => protocol === 6 && (tcpFlags & 0x04) !== 0);
      const later = refusals.slice(refusals.length / 2);
      const refused = later.filter((number) => !outcome.verdicts.passed.has(number));
      expect(refused.length / later.length).toBeGreaterThan(0.99);
    },
  );
});
