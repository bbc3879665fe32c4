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
function reflected(vector: Vector, serviceOf: (dice: Dice) => answers.Service, options: Partial<Tool> = {}): Tool[] {
  const write: Tool["write"] = (dice, { host, sender, port: given }) => {
    const { port, answer } = serviceOf(dice);
    const make = answer(dice);
    const aim = given ?? dice.of([80, 443, 51820], [22, 1194, 500, 3074, 51820, 25565, 0]);
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
    { vector, name: "many reflectors", from: [150, 2500], write, ...options },
    { vector, name: "few reflectors", from: [9, 40], write, ...options },
  ];
}

/** Ports that clients send from too are no lane of their own: there is much ordinary traffic beside it. */
const OF_CLIENTS: Partial<Tool> = { pps: [34_000, 80_000] };

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
  ...reflected("ike_amplification", () => answers.ike, OF_CLIENTS),
  ...reflected("openvpn_amplification", () => answers.openvpn, OF_CLIENTS),
  ...reflected("udp_amplification", answers.other, OF_CLIENTS),
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

/** Every tool once for each seed, in IPv4 and IPv6 by turns; `every`: only one in so many. */
export function* runs(split: Split, seeds: number, every = 1): Generator<Run> {
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [order, tool] of single.entries()) {
      if (order % every !== 0) continue;
      const dice = new Dice(seed * 1009 + order * 7, split);
      const family = tool.family ?? ((seed + order) % 4 === 0 ? 6 : 4);
      yield { vector: tool.vector, name: tool.name, seed, packets: play(dice, family, [tool]) };
    }
    for (const [order, [one, two]] of PAIRS.entries()) {
      if (order % every !== 0) continue;
      const dice = new Dice(seed * 1013 + order * 11, split);
      const pick = (vector: string) => dice.any(single.filter((tool) => tool.vector === vector && aimsAtHost(tool)));
      const share = 0.35 + dice.unit() * 0.3;
      const packets = play(dice, 4, [pick(one), pick(two)], { share, port: dice.of([80], [8080, 22]) });
      yield { vector: "multi_vector", name: `${one} and ${two}`, seed, packets };
    }
  }
}
/** Not at a VPN's port, and not with more pieces than packets. */
const aimsAtHost = ({ vector, name }: Tool) =>
  !/^ESP in UDP/.test(name) && !(vector === "icmp_flood" && /pieces/.test(name));

const USUAL = { one: [27_000, 70_000], others: [3_000, 20_000], two: [20_000, 50_000] } as const;
const SECONDS = 1.7;
/** Packets that are made; a longer flood repeats them. */
const MADE = 4_000;

/** The packets of one tool, or of two by their shares, for as long as a node needs to be sure. */
function play(
  dice: Dice,
  family: 4 | 6,
  tools: readonly Tool[],
  { share = 1, port }: { share?: number; port?: number } = {},
): Timed[] {
  const host = machine(dice, family);
  const { pps, from, seconds = SECONDS, reply } = tools[0]!;
  const [least, most] = tools.length > 1 ? USUAL.two : (pps ?? (from === "one" ? USUAL.one : USUAL.others));
  const gap = 1000 / (least * (most / least) ** dice.unit());
  const makers = tools.map((tool) => tool.write(dice, { host, port, sender: senders(dice, family, tool.from) }));
  const answer = reply?.(dice);
  const made: Packet[][] = [];
  const sent = [0, 0];
  for (let n = 0; n < MADE; n++) {
    const which = sent[0]! <= share * (sent[0]! + sent[1]!) ? 0 : 1;
    const frames = makers[which]!(n);
    const packets = (Array.isArray(frames) ? frames : [frames]).flatMap(read);
    sent[which]! += packets.length;
    const back = packets[0] && answer?.(packets[0], n);
    made.push(back ? [...packets, ...read(back)] : packets);
  }
  const all: Timed[] = [];
  for (let n = 0; all.length * gap < seconds * 1000; n++) {
    for (const packet of made[n % MADE]!) all.push({ at: START + all.length * gap, packet });
  }
  return all;
}

const read = (frame: Uint8Array): Packet[] => {
  const packet = readPacket(frame.subarray(0, 256), LINK.raw, frame.length);
  return packet ? [packet] : [];
};

const MAC1 = new Map([[51820, mac1Key(SERVER_KEY)]]);
export const judgedRun = ({ packets }: Run, options: Partial<Judging> = {}): Judged =>
  judged(packets, { ports: USUAL_PORTS, mac1Keys: MAC1, ...options });
