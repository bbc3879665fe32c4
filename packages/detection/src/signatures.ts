import type { Vector } from "@flowtriq/protocol/vector";
import {
  alike,
  answers,
  crowd,
  type Evidence,
  first,
  flagrant,
  handshakes,
  hasLane,
  isLive,
  isRepeated,
  isScan,
  lone,
  madeUp,
  many,
  percent,
  portless,
  rate,
  sessions,
  tcp,
  when,
} from "./evidence.ts";
import type { Summary } from "./features.ts";
import type { Kind } from "./kinds.ts";
import type { Picture } from "./picture.ts";

/** How one vector is recognised: the kinds of packet that it is made of, and what speaks for it being an attack. */
export interface Signature {
  kinds: readonly Kind[];
  weigh(picture: Picture, summary: Summary): Evidence[];
}

const answer = (kind: Kind, surely: number, name: string): Signature => ({
  kinds: [kind],
  weigh: answers(surely, name),
});

/** Openings that stay unfinished, far below any volume: they take the slots of those who log in. */
const STARVATION_PPS = { least: 12, most: 1000 };
const isTrickle = (p: Picture) =>
  p.peakPps !== undefined && p.peakPps >= STARVATION_PPS.least && p.peakPps < STARVATION_PPS.most && p.span >= 0.2;

const handshakeFlood = (...kinds: Kind[]): Signature => ({
  kinds,
  weigh: (p, summary) => {
    const starving = kinds.includes("wireguard_handshake") ? false : isTrickle(p);
    return [...handshakes(p, summary), ...when(starving, -1.5, "too few to flood")];
  },
});

const never: Signature = { kinds: [], weigh: () => [] };

/** One row per vector. */
export const signatures = {
  udp_flood: {
    kinds: ["udp"],
    weigh: (p, summary) => {
      const junk = hasLane(summary, ":malformed");
      const scattered = p.destinationPorts >= 10 && p.destinationPorts >= p.samples.length * 0.4;
      return [
        { weight: -1.6, text: `${many(p.packets, "datagram")} that belong to no conversation` },
        ...crowd(p, -1.6),
        ...when(p.sources >= 20 && p.light >= 0.6, 0.6),
        ...first(
          p.empty >= 0.5 && p.samples.length >= 8 && [2.5, `${percent(p.empty)} are empty`],
          p.topMark >= 0.5 && p.samples.length >= 8 && [2.2, `${percent(p.topMark)} have the same content`],
        ),
        ...when(isRepeated(p, summary), 1.5),
        ...first(
          p.speaks >= 0.5 && [-1, `they look like ${p.spoken}`],
          p.heads3 >= 0.6 &&
            p.topMark < 0.5 &&
            p.empty < 0.5 && [-1.8, `${percent(p.heads3)} begin alike, as a protocol's messages do`],
          p.samples.length >= 20 &&
            p.heads3 < 0.12 + 3 / p.samples.length && [0.8, "their content is random from the first octet on"],
        ),
        ...first(
          p.perSource >= 3 &&
            p.repeats < 0.3 &&
            p.samples.length >= 20 && [1.2, "each sender changes its port all the time"],
          p.repeats >= 0.6 && p.topMark < 0.5 && [-1, "senders keep to their ports"],
        ),
        ...when(p.sources >= 8 && p.topLength >= 0.9, 1, `${percent(p.topLength)} have the same length`),
        ...when(
          scattered && (p.sources > 3 || p.meanPayload >= 100),
          p.meanPayload >= 200 ? 4 : 1.5,
          `scattered over ${p.destinationPorts} ports`,
        ),
        ...when(isScan(p) && p.meanPayload < 100, -3.5, `one sender tried ${p.targets} addresses and ports: a scan`),
        ...when(
          p.perSource >= 12 && p.topMark < 0.5 && !junk && !scattered,
          -1.2,
          `${p.perSource.toFixed(0)} packets from each sender, as in sessions`,
        ),
        ...when(p.packets < 10, -1.5),
        ...when(summary.context.twoWay === true, 0.8, "we answered none of them"),
        ...when(p.local >= 0.8, -1),
        ...when(junk, 2.5, "no message of the port's VPN protocol"),
        ...madeUp(p),
        ...rate(p, { fast: 2000, slow: 12 }),
        ...when(isLive(summary), 0.5),
      ];
    },
  },
  udp_fragment_flood: {
    kinds: ["fragment"],
    weigh: (p, summary) => [
      { weight: -1, text: `${many(p.packets, "IP fragment")} of packets that were never begun here` },
      ...crowd(p, -2.5),
      ...when(isRepeated(p, summary, 0.5), 2.6, `${percent(p.topMark)} have the same content`),
      ...when(p.packets < 10, -1.5),
      ...madeUp(p),
      ...rate(p, { fast: 200, slow: 1 }),
      ...when(isLive(summary), 1.2),
    ],
  },
  dns_amplification: answer("dns_answer", 0.4, "DNS answer"),
  ntp_amplification: {
    kinds: ["ntp_answer"],
    weigh: (p, summary) => [
      ...answers(0.6, "NTP answer")(p, summary),
      ...when(p.abusive < 0.3, -1.2, "most tell the time and nothing else"),
      ...when(p.abusive < 0.3 && p.topDestinationPort >= 0.8 && p.destinationPort === 123, -1),
    ],
  },
  ssdp_amplification: answer("ssdp_answer", 1, "SSDP answer"),
  snmp_amplification: answer("snmp_answer", 0.8, "SNMP answer"),
  memcached_amplification: answer("memcached_answer", 2, "memcached answer"),
  cldap_amplification: answer("cldap_answer", 1, "CLDAP answer"),
  chargen_amplification: answer("chargen_answer", 2, "chargen answer"),
  wsd_amplification: answer("wsd_answer", 1, "WS-Discovery answer"),
  coap_amplification: answer("coap_answer", 0.8, "CoAP answer"),
  ike_amplification: answer("ike_answer", 1, "IKE answer"),
  openvpn_amplification: answer("openvpn_answer", 1, "OpenVPN server reset"),
  udp_amplification: {
    kinds: ["service_answer"],
    weigh: (p, summary) => [
      ...answers(-0.2, "datagram")(p, summary),
      ...when(
        p.topSourcePort >= 0.7 && p.sources >= 8,
        1,
        `${percent(p.topSourcePort)} come from port ${p.sourcePort}`,
      ),
      ...when(p.speaks >= 0.4 && p.perSource >= 5, -2, `${percent(p.speaks)} speak ${p.spoken}`),
      ...when(p.bogons >= 0.04 && p.bogons * p.sources >= 3, -1),
    ],
  },
  syn_flood: {
    kinds: ["syn"],
    weigh: (p, summary) => {
      const noise =
        (p.destinationPorts >= p.samples.length * 0.4 && (p.peakPps ?? 1000) < 50) || (p.peakPps ?? 1000) < 12;
      return [
        ...tcp(p, summary, "connection request", -1.2),
        ...when(
          p.optionless >= 0.8 && p.samples.length >= 8,
          2,
          `${percent(p.optionless)} carry no TCP option, which every real stack sends`,
        ),
        ...when(p.optionless < 0.1, -0.6),
        ...flagrant(summary),
        ...alike(p, 1.3),
        ...lone(p, 3),
        ...when(p.sources >= 8 && noise, -3, "slow and spread over many ports: the Internet's usual scanning"),
        ...when(p.repeats >= 0.25 && p.sources >= 4, -1, "senders try again as real stacks do"),
      ];
    },
  },
  syn_ack_reflection: {
    kinds: ["synack"],
    weigh: (p, summary) => [
      ...tcp(p, summary, "SYN-ACK", -0.8),
      ...when(summary.context.twoWay === true || hasLane(summary, ":synack"), 1.5, "we sent them no SYN"),
    ],
  },
  ack_flood: {
    kinds: ["ack"],
    weigh: (p, summary) => [
      ...tcp(p, summary, "segment", -1.8),
      ...first(
        p.optionless >= 0.9 && [0.8],
        p.optionless < 0.3 && [-1.5, "most carry TCP options, as live connections do"],
      ),
      ...alike(p, 1.2),
      ...lone(p, 2),
      ...when(p.perSource >= 8 && p.sources >= 4, -0.8),
    ],
  },
  rst_flood: {
    kinds: ["rst"],
    weigh: (p, summary) => [...tcp(p, summary, "reset", -1), ...alike(p, 1), ...lone(p, 2.5)],
  },
  tcp_flood: {
    kinds: ["odd_tcp"],
    weigh: (p, summary) => [...tcp(p, summary, "segment with flags that no stack sends", 0.3), ...lone(p, 2)],
  },
  icmp_flood: {
    kinds: ["echo", "icmp", "icmp_error"],
    weigh: (p, summary) => {
      const errors = p.samples.filter(({ kind }) => kind === "icmp_error").length / Math.max(1, p.samples.length);
      // Systems send few errors a second (RFC 1812 4.3.2.8).
      const fast = isLive(summary) || (p.peakPps ?? 0) >= 1000;
      const pings = p.sources <= 3 && (p.peakPps ?? 1000) < 30;
      return [
        { weight: -1.2, text: `${many(p.packets, "ICMP packet")} that answer nothing of ours` },
        ...crowd(p, 0),
        ...when(errors >= 0.5 && p.share < 0.25, -4, "mostly errors, which accompany other floods"),
        ...when(errors >= 0.5 && p.share >= 0.25 && !fast, -1),
        ...when((p.peakPps ?? 0) >= 1000, 1.2),
        ...when(pings, -3.5, "a few pings"),
        ...when(p.topMark >= 0.5 || p.meanPayload >= 200, 0.6, `${Math.round(p.meanPayload)} octets each`),
        ...when(p.packets < 10, -2),
        ...madeUp(p),
        ...rate(p, { fast: 100, slow: 3 }),
        ...when(isLive(summary), 2),
      ];
    },
  },
  gre_flood: { kinds: ["gre"], weigh: portless },
  esp_flood: { kinds: ["esp", "esp_in_udp"], weigh: sessions },
  ah_flood: { kinds: ["ah"], weigh: sessions },
  protocol_flood: { kinds: ["protocol"], weigh: portless },
  wireguard_handshake_flood: handshakeFlood("wireguard_handshake", "wireguard_control"),
  wireguard_data_flood: { kinds: ["wireguard_data"], weigh: sessions },
  openvpn_handshake_flood: handshakeFlood("openvpn_handshake"),
  openvpn_data_flood: { kinds: ["openvpn_data", "openvpn_control"], weigh: sessions },
  ike_handshake_flood: handshakeFlood("ike_handshake", "ike_control"),
  handshake_starvation: {
    kinds: ["openvpn_handshake", "ike_handshake"],
    weigh: (p, summary) =>
      isTrickle(p)
        ? [
            ...handshakes(p, summary),
            { weight: 0.5, text: `${Math.round(p.peakPps!)} a second fill the server's slots without flooding it` },
          ]
        : [{ weight: -20 }],
  },
  // Composed by `classify` from two of the others.
  multi_vector: never,
} satisfies Record<Vector, Signature>;
