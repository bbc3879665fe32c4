import type { Vector } from "@flowtriq/protocol/vector";
import { mac1Key } from "../../src/mac1.ts";
import { LINK, type Packet, PROTOCOL, readPacket } from "../../src/packet.ts";
import type { Timed } from "../../src/replay.ts";
import { ip, udp } from "../craft.ts";
import { type Judged, type Judging, judged, USUAL_PORTS } from "../judged.ts";
import * as answers from "./answers.ts";
import { Dice, machine, type Split, senders, type Tool } from "./dice.ts";
import { plain } from "./plain.ts";
import { SERVER_KEY, vpn } from "./vpn.ts";

/** Answers to what was asked in the host's name; what is longer than a frame comes in pieces. */
function reflected(vector: Vector, serviceOf: (dice: Dice) => answers.Service): Tool[] {
  const write: Tool["write"] = (dice, { host, sender }) => {
    const { port, answer } = serviceOf(dice);
    const make = answer(dice);
    const aim = dice.of([80, 443, 51820], [22, 1194, 500, 3074, 51820, 25565, 0]);
    // Behind some NATs the answer comes from another port.
    const natted = dice.chance(0.2) ? 0.25 : 0;
    return () => {
      const payload = make();
      const ports = { sport: dice.chance(natted) ? dice.high() : port, dport: aim || dice.high() };
      const ends = { ...sender(), to: host, id: dice.u32() >>> 16 };
      if (payload.length <= 1472) return udp({ ...ends, ...ports, payload });
      const whole = udp({ ...ends, ...ports, payload }).subarray(typeof host === "number" ? 20 : 40);
      return Array.from({ length: Math.ceil(whole.length / 1480) }, (_, i) =>
        ip(
          { ...ends, fragmentOffset: i * 1480, moreFragments: (i + 1) * 1480 < whole.length },
          PROTOCOL.udp,
          whole.subarray(i * 1480, (i + 1) * 1480),
        ),
      );
    };
  };
  return [
    { vector, name: "many reflectors", from: [150, 2500], write },
    { vector, name: "few reflectors", from: [9, 40], write },
  ];
}

const reflections: readonly Tool[] = [
  ...reflected("dns_amplification", () => answers.dns),
  ...reflected("ntp_amplification", () => answers.ntp),
  ...reflected("ssdp_amplification", () => answers.ssdp),
  ...reflected("snmp_amplification", () => answers.snmp),
  ...reflected("memcached_amplification", () => answers.memcached),
  ...reflected("cldap_amplification", () => answers.cldap),
  ...reflected("chargen_amplification", () => answers.chargen),
  ...reflected("wsd_amplification", () => answers.wsd),
  ...reflected("coap_amplification", () => answers.coap),
  ...reflected("ike_amplification", () => answers.ike),
  ...reflected("openvpn_amplification", () => answers.openvpn),
  ...reflected("udp_amplification", answers.other),
];

const single: readonly Tool[] = [...reflections, ...plain, ...vpn];

/** Pairs of attacks of different kinds, as booters offer them together; the smaller has at least three tenths. */
const PAIRS: readonly [string, string][] = [
  ["dns_amplification", "ntp_amplification"],
  ["syn_flood", "udp_fragment_flood"],
  ["syn_flood", "icmp_flood"],
  ["cldap_amplification", "syn_flood"],
  ["memcached_amplification", "gre_flood"],
  ["ssdp_amplification", "syn_ack_reflection"],
  ["rst_flood", "icmp_flood"],
  ["esp_flood", "gre_flood"],
];

export interface Run {
  vector: Vector;
  name: string;
  seed: number;
  packets: Timed[];
}

const START = Date.UTC(2026, 4, 3, 12);

/** Every tool once for each seed, in IPv4 and IPv6 by turns. */
export function* runs(split: Split, seeds: number): Generator<Run> {
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [order, tool] of single.entries()) {
      const dice = new Dice(seed * 1009 + order * 7, split);
      const family = tool.family ?? ((seed + order) % 4 === 0 ? 6 : 4);
      yield { vector: tool.vector, name: tool.name, seed, packets: play(dice, family, [[tool, 1]]) };
    }
    for (const [order, [one, two]] of PAIRS.entries()) {
      const dice = new Dice(seed * 1013 + order * 11, split);
      const pick = (vector: string) => dice.any(single.filter((tool) => tool.vector === vector && aimsAtHost(tool)));
      const share = 0.35 + dice.unit() * 0.3;
      const packets = play(dice, 4, [
        [pick(one), share],
        [pick(two), 1 - share],
      ]);
      yield { vector: "multi_vector", name: `${one} and ${two}`, seed, packets };
    }
  }
}
const aimsAtHost = ({ name }: Tool) => !name.startsWith("ESP in UDP");

const USUAL = { one: [27_000, 70_000], others: [3_000, 20_000] } as const;
const SECONDS = 1.7;
/** Packets that are made; a longer flood repeats them. */
const MADE = 4_000;

/** The packets of these tools together, mixed evenly by their shares, for as long as a node needs to be sure. */
function play(dice: Dice, family: 4 | 6, parts: readonly [Tool, number][]): Timed[] {
  const host = machine(dice, family);
  const [{ pps, from, seconds = SECONDS, reply }] = parts[0]!;
  const [least, most] = pps ?? (from === "one" ? USUAL.one : USUAL.others);
  const gap = 1000 / (least * (most / least) ** dice.unit());
  const makers = parts.map(([tool]) => tool.write(dice, { host, sender: senders(dice, family, tool.from) }));
  const answer = reply?.(dice);
  const made: Packet[][] = [];
  for (let n = 0; n < MADE; n++) {
    const frames = makers[dice.unit() < parts[0]![1] ? 0 : 1]!(n);
    made.push((Array.isArray(frames) ? frames : [frames]).flatMap(read));
    const [asked] = made.at(-1)!;
    const back = asked && answer?.(asked, n);
    if (back) made.at(-1)!.push(...read(back));
  }
  const packets: Timed[] = [];
  for (let n = 0; packets.length * gap < seconds * 1000; n++) {
    for (const packet of made[n % MADE]!) packets.push({ at: START + packets.length * gap, packet });
  }
  return packets;
}

const read = (frame: Uint8Array): Packet[] => {
  const packet = readPacket(frame.subarray(0, 256), LINK.raw, frame.length);
  return packet ? [packet] : [];
};

const MAC1 = new Map([[51820, mac1Key(SERVER_KEY)]]);
export const judgedRun = ({ packets }: Run, options: Partial<Judging> = {}): Judged =>
  judged(packets, { ports: USUAL_PORTS, mac1Keys: MAC1, ...options });
