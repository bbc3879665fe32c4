import type { Vector } from "@flowtriq/protocol/vector";
import type { Summary } from "./features.ts";
import type { Kind } from "./kinds.ts";
import type { Address } from "./packet.ts";
import type { Picture } from "./picture.ts";

/** A reason for or against, in log-odds, and in words for people. Without words it only weighs. */
export type Evidence = { weight: number; text?: string };

/** How one vector is recognised: the kinds of packet that it is made of, and what speaks for it being an attack. */
export interface Signature {
  kinds: readonly Kind[];
  weigh(picture: Picture, summary: Summary): Evidence[];
}

const percent = (share: number) => `${Math.round(share * 100)} %`;
const many = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
/** The first row that applies, or nothing. */
const first = (...rows: (false | [weight: number, text?: string])[]): Evidence[] => {
  for (const row of rows) if (row) return [{ weight: row[0], text: row[1] }];
  return [];
};
const when = (applies: boolean, weight: number, text?: string): Evidence[] => (applies ? [{ weight, text }] : []);

/** A rate trip of the kernel brought these samples: that alone makes an attack likelier. */
const isLive = (summary: Summary) => summary.lanes.size > 0;
const hasLane = (summary: Summary, end: string) => [...summary.lanes].some((lane) => lane.endsWith(end));

/** Floods come from many places or made-up ones; conversations from few. */
function crowd(p: Picture, few: number): Evidence[] {
  const text = `${many(p.packets, "packet")} from ${p.sources} sources, ${p.perSource.toFixed(1)} each`;
  return first(
    p.sources >= 20 && [2.2, text],
    p.sources >= 8 && [1.6, text],
    p.sources >= 4 && [0.4, text],
    p.sources === 3 && [few / 2],
    [few, `only ${many(p.sources, "source")}`],
  );
}

function madeUp(p: Picture): Evidence[] {
  return [
    ...when(p.ttls3 < 0.5 && p.sources >= 20 && p.bogons < 0.02, -0.6),
    ...when(
      p.bogons >= 0.04 && p.bogons * p.sources >= 3,
      1.8,
      `${percent(p.bogons)} of the sources are addresses that cannot send`,
    ),
    ...when(
      p.ttls3 >= 0.9 && p.sources >= 20 && p.perSource < 3,
      0.8,
      `three TTLs cover ${percent(p.ttls3)} of the packets`,
    ),
  ];
}

/** Rates speak only where every packet was seen. */
function rate(p: Picture, { fast, slow }: { fast: number; slow: number }): Evidence[] {
  if (p.peakPps === undefined) return [];
  const text = `${Math.round(p.peakPps)} packets in the busiest second`;
  return first(p.peakPps >= fast && [1.2, text], p.peakPps < slow && [-2.5, text], p.peakPps < slow * 5 && [-0.7]);
}

/** Few senders that try many doors rather than one. */
const isScan = (p: Picture) => p.sources <= 3 && p.targets >= 5 && p.targets >= p.samples.length * 0.3;
const scan = (p: Picture): Evidence[] =>
  when(isScan(p), -5, `${many(p.sources, "source")} tried ${p.targets} addresses and ports: a scan`);

/** Answers that nobody asked for. `surely`: content that strangers hardly ever get for honest reasons. */
function answers(surely: number, name: string) {
  return (p: Picture, summary: Summary): Evidence[] => {
    const unasked = summary.context.twoWay === true || hasLane(summary, ":reflected");
    const asks = p.samples[0]?.kind === "dns_answer" && p.samples.length >= 8;
    return [
      { weight: -1.8 + surely, text: `${many(p.packets, name)} that nobody asked for` },
      ...crowd(p, -2),
      ...when(unasked, 1.8, "nothing of ours went out to their senders"),
      ...when(p.topDestinationPort >= 0.8 && p.sources >= 4, 1, `all meet at port ${p.destinationPort}`),
      ...when(p.abusive >= 0.3, 2, `${percent(p.abusive)} answer questions that only attackers ask`),
      ...when(asks && p.topToken >= 0.4 && p.sources >= 4, 1.5, `${percent(p.topToken)} answer the same question`),
      ...when(asks && p.abusive < 0.2 && p.tokens > p.samples.length * 0.5, -3, `${p.tokens} different questions`),
      ...when(p.meanPayload >= 400, 0.6, `${Math.round(p.meanPayload)} octets each`),
      ...when(
        p.sources <= 3 && p.packets >= 500 && (p.peakPps ?? 0) >= 1000 && (p.abusive >= 0.3 || p.meanPayload >= 300),
        3,
        "a stream of them from so few",
      ),
      ...when(p.local >= 0.8, -2.5, "their senders are on the local network"),
      ...when(p.packets < 10, -1.5),
      ...rate(p, { fast: 300, slow: 3 }),
      ...when(isLive(summary), 1),
    ];
  };
}

const answer = (kind: Kind, surely: number, name: string): Signature => ({
  kinds: [kind],
  weigh: answers(surely, name),
});

/** What single tools send alike and crowds do not. */
function alike(p: Picture, weight: number): Evidence[] {
  return p.sources < 8
    ? []
    : first(
        p.topFingerprint >= 0.9 && [
          weight,
          `${percent(p.topFingerprint)} have the same window, flags and header length`,
        ],
        p.fingerprints >= p.samples.length * 0.5 && p.samples.length >= 12 && [weight, "their windows are random"],
        p.topFingerprint < 0.65 &&
          p.fingerprints >= 3 &&
          p.optionless < 0.3 && [-weight, `${p.fingerprints} different TCP stacks`],
      );
}

/** A single sender, who is one only by his persistence. */
const lone = (p: Picture, weight: number, packets = 100): Evidence[] =>
  when(
    p.sources <= 3 && p.packets >= packets && p.topTarget >= 0.8,
    weight,
    `${p.packets} packets to port ${p.destinationPort} from ${many(p.sources, "source")}`,
  );

/** Share of the data whose senders were also seen to open a session. */
function begun(p: Picture, summary: Summary): number {
  const began = new Set(summary.kept.filter(({ kind }) => FOLLOWS[kind]).map(({ source }) => source));
  return p.samples.filter(({ source }) => began.has(source)).length / Math.max(1, p.samples.length);
}

const FOLLOWS: Partial<Record<Kind, readonly Kind[]>> = {
  wireguard_handshake: ["wireguard_data"],
  ike_control: ["esp_in_udp", "esp"],
  openvpn_handshake: ["openvpn_control", "openvpn_data"],
  ike_handshake: ["ike_control", "esp_in_udp", "esp"],
};

/** Share of the handshakes whose senders also sent what comes after. */
function followUps(p: Picture, summary: Summary): number {
  const went = new Map<Kind, Set<Address>>();
  for (const { kind, source } of summary.kept) went.set(kind, (went.get(kind) ?? new Set()).add(source));
  const followed = p.samples.filter(({ kind, source }) => FOLLOWS[kind]?.some((next) => went.get(next)?.has(source)));
  return followed.length / Math.max(1, p.samples.length);
}

/** Handshakes that came to nothing; a crowd coming back looks alike at first. */
function handshakes(p: Picture, summary: Summary): Evidence[] {
  const junk = p.mac1Checked - p.mac1Valid;
  const checked = p.mac1Checked >= 5;
  const { span } = p;
  const perSourceAndSecond = p.packets / Math.max(1, p.sources) / Math.max(1, span);
  const followed = followUps(p, summary);
  const hasRate = summary.context.complete === true;
  return [
    { weight: -1.2, text: `${many(p.packets, "handshake")} from ${p.sources} sources that led to no session` },
    ...first(
      p.sources >= 20 && [1.6],
      p.sources >= 8 && [1],
      p.sources <= 3 && p.packets < 12 && [-4, "so few are a client that is not let in"],
    ),
    ...when(p.steady >= 0.5 && p.sources < 100, -2, "senders repeat themselves, as clients do that get no answer"),
    ...when(followed >= 0.5, -3.5, `${percent(followed)} of their senders went on with a session`),
    ...when(checked && junk >= p.mac1Checked * 0.3, 4, `${junk} of ${p.mac1Checked} carry a false mac1`),
    ...when(checked && junk === 0, -2.2, `all ${p.mac1Checked} checked carry a valid mac1`),
    ...when(p.packets < 10, -1.5),
    ...when(
      hasRate && perSourceAndSecond > 1 && p.packets >= 20,
      2.5,
      `${perSourceAndSecond.toFixed(1)} a second from each source`,
    ),
    ...when(
      hasRate && p.sources >= 8 && p.repeats < 0.05 && span > 8,
      1,
      "none is repeated, as clients do that get no answer",
    ),
    ...when(hasRate && p.packets >= 40 && followed < 0.1, 2, "not one led to a session"),
    ...when(p.topToken >= 0.3 && p.sources >= 8, 1, `${percent(p.topToken)} carry the same session`),
    ...when(p.local >= 0.8 && p.bogons < 0.04, -1),
    ...madeUp(p),
    ...when(isLive(summary), 0.8),
  ];
}

/** Messages that claim a session of ours. */
function sessions(p: Picture, summary: Summary): Evidence[] {
  const { samples } = p;
  const reserved = samples.filter(({ token }) => token >= 0 && token < 256).length / Math.max(1, samples.length);
  const spread = samples.length >= 10 && p.tokens >= samples.length * 0.5;
  const tunnels = samples[0]?.kind === "esp" || samples[0]?.kind === "ah" || samples[0]?.kind === "esp_in_udp";
  return [
    { weight: -1.2, text: `${many(p.packets, "data packet")} of no known session, from ${p.sources} sources` },
    ...first(p.sources >= 8 && [1.6], p.sources >= 4 && [0.7], [-1]),
    ...when(begun(p, summary) >= 0.5, -3, "their senders opened the sessions first"),
    ...when(spread, 2.8, `${p.tokens} different session numbers in ${samples.length} packets`),
    ...when(tunnels && reserved >= 0.5, 4.5, `${percent(reserved)} carry a reserved session number`),
    ...when(p.steady >= 0.6 && p.sources < 100, -2.2, "each sender keeps to one session"),
    ...when(p.ordered >= 0.6, -2.5, "their counters rise as in a real session"),
    ...when(p.sources >= 8 && p.topToken >= 0.6, 1.6, `${percent(p.topToken)} share one session number`),
    ...when(
      p.sources <= 3 && p.tokens <= 3 && reserved < 0.5,
      -1.5,
      `${many(p.tokens, "session")} of ${many(p.sources, "sender")}`,
    ),
    ...when(p.packets < 10, -1.5),
    ...madeUp(p),
    ...rate(p, { fast: 1000, slow: 1 }),
    ...when(hasLane(summary, ":unissued"), 1.5, "the server never issued them"),
    ...when(isLive(summary), 0.8),
  ];
}

/** Portless protocols whose packets name no session. */
function portless(p: Picture, summary: Summary): Evidence[] {
  return [
    { weight: -1.2, text: `${many(p.packets, "packet")} from ${p.sources} senders that nothing of ours went out to` },
    ...crowd(p, -1.8),
    ...when(p.topMark >= 0.6 && p.samples.length >= 10, 1.2, `${percent(p.topMark)} are the same to the octet`),
    ...when(p.packets < 10, -1.5),
    ...madeUp(p),
    ...rate(p, { fast: 500, slow: 1 }),
    ...when(isLive(summary), 1.5),
  ];
}

function tcp(p: Picture, summary: Summary, what: string, base: number): Evidence[] {
  return [
    { weight: base, text: `${many(p.packets, what)} outside any connection` },
    ...crowd(p, -1.2),
    ...scan(p),
    ...when(p.packets < 10, -1.5),
    ...madeUp(p),
    ...rate(p, { fast: 300, slow: 2 }),
    ...when(isLive(summary), 1),
  ];
}

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
        // A protocol may repeat a message, but not hundreds of times a second.
        ...when(p.topMark >= 0.9 && p.packets >= 200 && (p.peakPps ?? 0) >= 200, 1.5),
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
      const pings = p.sources <= 3 && (p.peakPps ?? 1000) < 30;
      return [
        { weight: -1.2, text: `${many(p.packets, "ICMP packet")} that answer nothing of ours` },
        ...crowd(p, 0),
        ...when(errors >= 0.5 && p.share < 0.6, -4, "mostly errors, which accompany other floods"),
        ...when(errors >= 0.5 && p.share >= 0.6, -1),
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
