import { PROTOCOL, TCP } from "../../src/packet.ts";
import { be16, be32, bytes, icmp, ip, tcp, udp } from "../craft.ts";
import type { Dice, Ends, From, Tool } from "./dice.ts";

const SCREAM = (length: number) => new Uint8Array(length).fill(0x58);
type Options = Partial<Omit<Tool, "write" | "vector" | "name" | "from">>;
const tool = (vector: Tool["vector"], name: string, from: From, write: Tool["write"], options: Options = {}): Tool => ({
  vector,
  name,
  from,
  write,
  ...options,
});

/** Ports that floods go to; most have no service of ours. */
const aimed = (dice: Dice) => dice.of([80, 443, 53, 3074, 51820], [22, 8443, 27015, 30120, 5060, 25565, 51820, 1723]);
const counted = (dice: Dice) => {
  const first = dice.high();
  return (n: number) => 1025 + ((first + n) % 64_000);
};

type Content = (n: number) => Uint8Array;
const datagrams =
  (content: (dice: Dice) => Content, { fixedPort = false, everyPort = false } = {}): Tool["write"] =>
  (dice, { host, sender, port: given }) => {
    const [port, own, next, fill] = [given ?? aimed(dice), dice.high(), counted(dice), content(dice)];
    return (n) =>
      udp({
        ...sender(),
        to: host,
        sport: fixedPort ? own : next(n),
        dport: everyPort ? dice.between(1, 65_535) : port,
        payload: fill(n),
      });
  };
const same =
  (make: (dice: Dice) => Uint8Array): ((dice: Dice) => Content) =>
  (dice) => {
    const content = make(dice);
    return () => content;
  };

/** Rates above the threshold of a lane that carries ordinary traffic too. */
const FAST: Options = { pps: [34_000, 80_000] };

const udpFloods: Tool[] = [
  tool("udp_flood", "hping --udp", "one", datagrams(same(() => bytes())), FAST),
  tool(
    "udp_flood",
    "hping --udp -d --rand-source",
    "anywhere",
    datagrams(same((d) => SCREAM(d.of([120, 1400], [16, 64, 333, 1000])))),
    FAST,
  ),
  tool("udp_flood", "hping --udp -d", "one", datagrams(same((d) => SCREAM(d.of([120, 1024], [32, 512, 1200])))), FAST),
  tool(
    "udp_flood",
    "one text from one socket",
    "one",
    datagrams(
      same((d) => bytes(d.of("U dun goofed,A cat is fine too".split(","), "hello,GET / HTTP,flood".split(",")))),
      { fixedPort: true },
    ),
    FAST,
  ),
  tool(
    "udp_flood",
    "bots, a constant of their own",
    [60, 900],
    datagrams(same((d) => d.bytes(d.of([512], [1024, 128, 1312])))),
    FAST,
  ),
  tool(
    "udp_flood",
    "bots, random content",
    [40, 700],
    datagrams((d) => {
      const size = d.of([512, 1024], [64, 300, 1400]);
      return () => d.bytes(size);
    }),
    FAST,
  ),
  tool(
    "udp_flood",
    "bots, letters of any length, every port",
    [20, 300],
    datagrams((d) => () => bytes(d.letters(d.between(60, d.of([300], [900])))), { everyPort: true }),
    FAST,
  ),
  tool(
    "udp_flood",
    "random content from anywhere",
    "anywhere",
    datagrams((d) => {
      const size = d.of([700], [48, 256, 1100]);
      return () => d.bytes(d.between(size / 2, size));
    }),
    FAST,
  ),
  tool(
    "udp_flood",
    "scapy, one port each side",
    "one",
    datagrams(
      same((d) => d.bytes(d.of([1024], [1300, 200]))),
      { fixedPort: true },
    ),
    FAST,
  ),
];

/** Datagrams in pieces, as a stack cuts them; or pieces that never make a whole. */
const inPieces =
  (protocol: number, whole: (dice: Dice, to: Ends["host"]) => Uint8Array): Tool["write"] =>
  (dice, { host, sender }) => {
    const unit = dice.of([1480], [1480, 1400, 552]) & ~7;
    return () => {
      const who = { ...sender(), to: host, id: dice.u32() >>> 16 };
      const data = whole(dice, host);
      return Array.from({ length: Math.ceil(data.length / unit) }, (_, i) =>
        ip(
          { ...who, fragmentOffset: i * unit, moreFragments: (i + 1) * unit < data.length },
          protocol,
          data.subarray(i * unit, (i + 1) * unit),
        ),
      );
    };
  };
const udpData = (dice: Dice, size: number) => bytes(be16(dice.high()), be16(80), be16(8 + size), [0, 0], SCREAM(size));

const fragmentFloods: Tool[] = [
  tool(
    "udp_fragment_flood",
    "hping --udp -d, more than a frame",
    "one",
    inPieces(PROTOCOL.udp, (d) => udpData(d, d.of([3000, 4000], [2000, 8000, 20_000]))),
  ),
  tool(
    "udp_fragment_flood",
    "the same from anywhere",
    "anywhere",
    inPieces(PROTOCOL.udp, (d) => udpData(d, d.of([3000], [2500, 6000]))),
  ),
  tool("udp_fragment_flood", "hping -f", "anywhere", (d, { host, sender }) => {
    const size = d.of([200], [64, 500]);
    return () => {
      const who = { ...sender(), to: host, id: d.u32() >>> 16 };
      const data = udpData(d, size);
      return Array.from({ length: Math.ceil(data.length / 16) }, (_, i) =>
        ip(
          { ...who, fragmentOffset: i * 16, moreFragments: (i + 1) * 16 < data.length },
          PROTOCOL.udp,
          data.subarray(i * 16, i * 16 + 16),
        ),
      );
    };
  }),
  tool("udp_fragment_flood", "last pieces alone", [30, 400], (d, { host, sender }) => {
    const [offset, size] = d.of(
      [[1480, 520]],
      [
        [65_120, 400],
        [8, 24],
        [2960, 1480],
      ],
    ) as [number, number];
    return () => ip({ ...sender(), to: host, id: d.u32() >>> 16, fragmentOffset: offset }, PROTOCOL.udp, d.bytes(size));
  }),
];

type Look = { options?: Uint8Array; window?: number; payload?: number; seq?: number };
const segments =
  (
    flags: (dice: Dice) => (n: number) => number,
    look: (dice: Dice) => Look = () => ({}),
    { everyPort = false } = {},
  ): Tool["write"] =>
  (dice, { host, sender }) => {
    const [next, flagsOf, { payload = 0, seq, ...rest }] = [counted(dice), flags(dice), look(dice)];
    const port = dice.of([80, 22], [443, 8080, 25565, 1723, 179]);
    const filler = SCREAM(payload);
    return (n) =>
      tcp({
        ...{ ...sender(), to: host, sport: next(n), dport: everyPort ? dice.between(1, 65_535) : port },
        ...{ flags: flagsOf(n), seq: seq ?? dice.u32(), ack: dice.u32(), payload: filler, window: 512, ...rest },
      });
  };
const always =
  (...flags: number[]) =>
  () =>
  () =>
    flags.reduce((sum, flag) => sum | flag, 0);
const MSS = [2, 4, 5, 0xb4];
/** Of a system's own stack: maximum segment size, selective acknowledgements, timestamp, window scale. */
const stack = (dice: Dice) => bytes(MSS, [4, 2, 8, 10], be32(dice.u32()), be32(0), [1, 3, 3, 7]);

const synFloods: Tool[] = [
  tool("syn_flood", "hping -S", "one", segments(always(TCP.syn))),
  tool(
    "syn_flood",
    "hping -S --rand-source",
    "anywhere",
    segments(always(TCP.syn), (d) => ({ window: d.of([512, 64], [1024, 5840]) })),
  ),
  tool(
    "syn_flood",
    "hping -S -d",
    "anywhere",
    segments(always(TCP.syn), (d) => ({ payload: d.of([120], [900, 40]) })),
  ),
  tool(
    "syn_flood",
    "scapy",
    "anywhere",
    segments(always(TCP.syn), () => ({ seq: 0, window: 8192 })),
  ),
  tool(
    "syn_flood",
    "every port",
    "anywhere",
    segments(always(TCP.syn), (d) => ({ window: d.of([64], [65_535, 29_200]) }), { everyPort: true }),
  ),
  tool(
    "syn_flood",
    "bots with options",
    [50, 800],
    segments(always(TCP.syn), (d) => ({ options: stack(d), window: d.of([65_535], [14_600, 5840, 64_240]) })),
  ),
  tool(
    "syn_flood",
    "one segment size",
    "anywhere",
    segments(always(TCP.syn), (d) => ({ options: bytes(MSS), window: d.of([65_535], [1024, 16_384]) })),
  ),
  tool(
    "syn_flood",
    "with ECN's flags",
    "anywhere",
    segments(always(TCP.syn, 0xc0), (d) => ({ window: d.of([512], [8192]) })),
  ),
];

const otherSegments: Tool[] = [
  tool("ack_flood", "hping -A", "one", segments(always(TCP.ack)), FAST),
  tool(
    "ack_flood",
    "hping -A --rand-source",
    "anywhere",
    segments(always(TCP.ack), (d) => ({ window: d.of([512], [64, 1024]) })),
    FAST,
  ),
  tool(
    "ack_flood",
    "hping -P -A -d",
    "anywhere",
    segments(always(TCP.ack, TCP.psh), (d) => ({ payload: d.of([512], [100, 1200]) })),
    FAST,
  ),
  tool(
    "ack_flood",
    "bots with content",
    [60, 800],
    segments(always(TCP.ack), (d) => ({ payload: d.of([512], [768, 1400]), window: d.u32() >>> 16 })),
    FAST,
  ),
  tool(
    "ack_flood",
    "hping -F -A",
    "anywhere",
    segments(always(TCP.fin, TCP.ack), (d) => ({ window: d.of([512], [2048]) })),
    FAST,
  ),
  tool(
    "ack_flood",
    "timestamps too",
    [200, 900],
    segments(always(TCP.ack, TCP.psh), (d) => ({
      options: bytes([1, 1, 8, 10], be32(d.u32()), be32(d.u32())),
      payload: d.of([800], [300]),
    })),
    FAST,
  ),
  tool("rst_flood", "hping -R", "one", segments(always(TCP.rst)), FAST),
  tool(
    "rst_flood",
    "hping -R --rand-source",
    "anywhere",
    segments(always(TCP.rst), (d) => ({ window: d.of([512], [0, 1024]) })),
  ),
  tool(
    "rst_flood",
    "hping -R -A",
    [40, 600],
    segments(always(TCP.rst, TCP.ack), (d) => ({ window: d.of([512], [0, 64]) })),
  ),
  tool("tcp_flood", "hping -F -P -U", "anywhere", segments(always(0x29)), FAST),
  tool("tcp_flood", "every flag", "anywhere", segments(always(0x3f, 0xc0)), FAST),
  tool("tcp_flood", "no flag", [30, 500], segments(always(0)), FAST),
  tool("tcp_flood", "FIN alone", "one", segments(always(TCP.fin)), FAST),
  tool("tcp_flood", "SYN and FIN", "anywhere", segments(always(TCP.syn, TCP.fin)), FAST),
  tool("tcp_flood", "SYN and RST", "anywhere", segments(always(TCP.syn, TCP.rst)), FAST),
  tool("tcp_flood", "URG alone", "anywhere", segments(always(TCP.urg)), FAST),
  tool(
    "tcp_flood",
    "flags at random",
    "anywhere",
    segments((d) => () => d.between(0, 63)),
    FAST,
  ),
];

const reflectedConnections: Tool[] = [
  tool("syn_ack_reflection", "servers of the web", [200, 2000], (d, { host, sender }) => {
    const [port, mine] = [d.of([80, 443], [443, 25, 53, 179]), d.of([0], [0, 443, 8080])];
    const resets = d.of([0.1], [0, 0.3]);
    return () => {
      const reset = d.chance(resets);
      return tcp({
        ...{ ...sender(), to: host, sport: port, dport: mine || d.high(), seq: reset ? 0 : d.u32(), ack: d.u32() },
        ...{
          flags: reset ? TCP.rst | TCP.ack : TCP.syn | TCP.ack,
          window: reset ? 0 : d.any([28_960, 65_160, 8192, 14_600]),
        },
        options: reset ? bytes() : bytes(MSS, d.chance(0.5) ? [1, 3, 3, 8] : []),
      });
    };
  }),
  tool(
    "syn_ack_reflection",
    "hping -S -A --rand-source",
    "anywhere",
    segments(always(TCP.syn, TCP.ack), (d) => ({ window: d.of([512], [1024]) })),
  ),
];

const pings =
  (type: number | ((dice: Dice) => number), size: (dice: Dice) => number, code = 0): Tool["write"] =>
  (dice, { host, sender }) => {
    const kind = typeof type === "number" ? type : type(dice);
    const payload = dice.chance(0.5) ? SCREAM(size(dice)) : dice.bytes(size(dice));
    return () => icmp({ ...sender(), to: host, type: kind, code, payload });
  };
const V4: Options = { family: 4 };

const icmpFloods: Tool[] = [
  tool(
    "icmp_flood",
    "hping -1",
    "one",
    pings(8, (d) => d.of([0, 56], [120, 1000])),
    V4,
  ),
  tool(
    "icmp_flood",
    "hping -1 --rand-source",
    "anywhere",
    pings(8, (d) => d.of([0, 1000], [32, 600, 1400])),
    V4,
  ),
  tool("icmp_flood", "ICMPv6 echo", [1, 60], (d, ends) => {
    const payload = d.bytes(d.of([56], [8, 1200]));
    return () => icmp({ ...ends.sender(), to: ends.host, type: typeof ends.host === "number" ? 8 : 128, payload });
  }),
  tool(
    "icmp_flood",
    "echo replies of networks",
    [40, 900],
    pings(0, (d) => d.of([56], [32, 500])),
    V4,
  ),
  tool(
    "icmp_flood",
    "timestamps, masks, redirects",
    "anywhere",
    pings(
      (d) => d.of([13], [17, 5, 15, 9]),
      () => 12,
    ),
    V4,
  ),
  tool(
    "icmp_flood",
    "unreachable ports of nobody's packets",
    "one",
    (d, { host, sender }) => {
      const [code, size] = [3, d.of([28], [60])];
      return () => {
        const quoted = udp({
          from: host,
          to: host,
          sport: d.high(),
          dport: d.of([53], [d.high()]),
          payload: new Uint8Array(size - 28),
        });
        return icmp({ ...sender(), to: host, type: 3, code, payload: quoted });
      };
    },
    V4,
  ),
  tool(
    "icmp_flood",
    "unreachables that quote nothing",
    "anywhere",
    pings(3, (d) => d.of([0], [8])),
    V4,
  ),
  tool(
    "icmp_flood",
    "pings of 64 kB, in pieces",
    "one",
    inPieces(PROTOCOL.icmp, (d) => bytes([8, 0, 0, 0, 0, 1, 0, 1], SCREAM(d.of([20_000], [65_000, 4000])))),
    V4,
  ),
];

const raw =
  (protocol: (dice: Dice) => number, content: (dice: Dice) => Content): Tool["write"] =>
  (dice, { host, sender }) => {
    const [number, fill] = [protocol(dice), content(dice)];
    return (n) => ip({ ...sender(), to: host }, number, fill(n));
  };
const screams = (tried: readonly number[], sealed: readonly number[]) => same((d) => SCREAM(d.of(tried, sealed)));
/** What Mirai's descendants put into GRE: an IP packet of its own addresses and a random datagram. */
const encapsulated = (dice: Dice): Content => {
  const [size, bridged] = [dice.of([512], [256, 800, 1200]), dice.chance(0.5)];
  return () => {
    const inner = udp({
      from: dice.u32(),
      to: dice.u32(),
      sport: dice.high(),
      dport: dice.high(),
      payload: dice.bytes(size),
    });
    return wrapped(bridged ? bytes(dice.bytes(12), [8, 0], inner) : inner, bridged ? [0x65, 0x58] : [8, 0]);
  };
};
const wrapped = (inner: Uint8Array, type: readonly number[]) => bytes([0, 0], type, inner);

/** A session number and a counter, or numbers at random, as ESP and AH have them. */
const sessionLike =
  (head: readonly number[], { constant, counting }: { constant: boolean; counting: boolean }) =>
  (dice: Dice): Content => {
    const [spi, size] = [dice.u32(), dice.of([120], [60, 300, 1000])];
    return (n) => bytes(head, be32(constant ? spi : dice.u32()), be32(counting ? n + 1 : dice.u32()), dice.bytes(size));
  };
const AH_HEAD = [50, 4, 0, 0];

const portless: Tool[] = [
  tool(
    "gre_flood",
    "hping --rawip -H 47",
    "one",
    raw(() => 47, screams([200, 64], [100, 1000])),
  ),
  tool(
    "gre_flood",
    "the same from anywhere",
    "anywhere",
    raw(() => 47, screams([200], [32, 700])),
  ),
  tool(
    "gre_flood",
    "bots' packets within packets",
    [60, 900],
    raw(() => 47, encapsulated),
  ),
  tool(
    "gre_flood",
    "one bot's",
    "one",
    raw(() => 47, encapsulated),
  ),
  tool(
    "esp_flood",
    "hping --rawip -H 50",
    "one",
    raw(() => 50, screams([200, 800], [64, 1200])),
  ),
  tool(
    "esp_flood",
    "the same from anywhere",
    "anywhere",
    raw(() => 50, screams([200], [96, 1000])),
  ),
  tool(
    "esp_flood",
    "random sessions",
    [1, 500],
    raw(() => 50, sessionLike([], { constant: false, counting: false })),
  ),
  tool(
    "esp_flood",
    "one session from anywhere",
    "anywhere",
    raw(() => 50, sessionLike([], { constant: true, counting: true })),
  ),
  tool(
    "ah_flood",
    "hping --rawip -H 51",
    "one",
    raw(() => 51, screams([120, 40], [64, 500])),
  ),
  tool(
    "ah_flood",
    "random sessions",
    [1, 500],
    raw(() => 51, sessionLike(AH_HEAD, { constant: false, counting: false })),
  ),
  tool(
    "ah_flood",
    "one session from anywhere",
    "anywhere",
    raw(() => 51, sessionLike(AH_HEAD, { constant: true, counting: true })),
  ),
  tool(
    "protocol_flood",
    "hping --rawip -H",
    "one",
    raw((d) => d.of([4, 132], [89, 103, 112]), screams([64], [100, 700])),
  ),
  tool(
    "protocol_flood",
    "the same from anywhere",
    "anywhere",
    raw((d) => d.of([2, 132], [88, 46, 253]), screams([64], [20, 900])),
  ),
  tool(
    "protocol_flood",
    "random content",
    [40, 600],
    raw(
      (d) => d.of([97, 255], [132, 33, 136]),
      (d) => () => d.bytes(d.of([100], [60, 800])),
    ),
  ),
  tool("protocol_flood", "every protocol there is", "anywhere", (d, { host, sender }) => {
    const size = d.of([64], [20, 400]);
    return () => ip({ ...sender(), to: host }, d.between(90, 250), d.bytes(size));
  }),
];

export const plain: readonly Tool[] = [
  ...udpFloods,
  ...fragmentFloods,
  ...synFloods,
  ...otherSegments,
  ...reflectedConnections,
  ...icmpFloods,
  ...portless,
];
