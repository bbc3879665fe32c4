import type { HostFacts } from "./facts.ts";

const timed = (type: string, size: number, timeout: string) =>
  `{ typeof ${type}; size ${size}; flags dynamic,timeout; timeout ${timeout}; }`;
const keyed = (type: string, size: number, timeout: string) =>
  `{ type ${type}; size ${size}; flags dynamic,timeout; timeout ${timeout}; }`;
/** A set of each address family: `peer4` and `peer6`. */
const both = (name: string, define: (address: "ip saddr" | "ip6 saddr") => string) => [
  `set ${name}4 ${define("ip saddr")}`,
  `set ${name}6 ${define("ip6 saddr")}`,
];
const addresses = (name: string, size: number, timeout: string) => [
  `set ${name}4 ${keyed("ipv4_addr", size, timeout)}`,
  `set ${name}6 ${keyed("ipv6_addr", size, timeout)}`,
];

const MANY = 65_536;
/** A stranger's second try comes up to 5.34 s after its first (WireGuard whitepaper 6.1: 5 s and up to a third). */
const RETRY = "5500ms";

/**
 * How many strangers are remembered between their first try and their second. At some 70 bytes each, and only while a flood of
 * handshakes fills it: at most a sixteenth of the memory. Two million hold 300,000 new strangers a second.
 */
export const greylistSize = (memoryMegabytes: number): number =>
  Math.min(2 ** 21, Math.max(2 ** 16, 2 ** Math.floor(Math.log2((memoryMegabytes * 2 ** 20) / 16 / 70))));

/**
 * Sets that packets feed, each bounded and timed. They outlive a reload: live tunnels depend on what they hold. WireGuard
 * rejects a session after 180 s (whitepaper 6.1), so an index issued 240 s ago is dead.
 */
export const learnedSets = ({ greylist }: Pick<HostFacts, "greylist">): string[] => [
  `set wg_index ${timed("@th,96,32", MANY, "4m")}`,
  // Indices that known peers used before the agent saw them issued; apart, so that they cannot crowd out the issued ones.
  `set wg_seen ${timed("@th,96,32", MANY, "4m")}`,
  // Peer ids that the server itself uses in DATA_V2, and responder SPIs that it issued (in IKE on 500, or behind the marker on 4500).
  `set ovpn_id ${timed("@th,72,24", MANY, "5m")}`,
  `set ike_spi ${timed("@th,128,64", MANY, "1h")}`,
  ...both("peer", (address) => timed(`${address} . udp sport`, MANY, "5m")),
  // Whom the server answered without proof of being genuine: the second message of a handshake comes from nobody else.
  ...both("answered", (address) => timed(`${address} . udp sport`, MANY, "1m")),
  // An idle tunnel may say nothing for long (RFC 7296 2.4 leaves it open).
  ...addresses("ipsec", MANY, "1h"),
  // Whose IKE_SA_INIT was answered: its next message may come in fragments.
  ...addresses("answered_ike", MANY, "30s"),
  // Addresses of peers that finished a handshake, for what carries no port.
  ...addresses("met", MANY, "3h"),
  ...both("tcppeer", (address) => timed(`${address} . tcp sport . tcp dport`, MANY, "5m")),
  ...both("tcpopen", (address) => timed(`${address} . tcp sport . tcp dport`, MANY, "10s")),
  ...both("asked", (address) => timed(`${address} . udp sport`, MANY, "1m")),
  ...both("askedtcp", (address) => timed(`${address} . tcp sport`, MANY, "2m")),
  ...both("proto", (address) => timed(`${address} . meta l4proto`, 4096, "5m")),
  // What follows is fed by strangers and only while a lane is armed.
  ...both("retry", (address) => timed(`${address} . udp sport`, greylist, RETRY)),
  ...both("paced", (address) => timed(`${address} . udp sport . udp dport`, MANY, "1m")),
  ...both("peer_paced", (address) => timed(`${address} . udp sport . udp dport`, MANY, "1m")),
  ...both("rude", (address) => timed(`${address} . udp sport . udp dport`, MANY * 4, "1m")),
  ...addresses("tries", MANY, "10s"),
  ...addresses("source", MANY, "10s"),
  ...addresses("crowd", MANY, "10s"),
  ...addresses("crowd_tries", MANY, "10s"),
  `set network6 ${keyed("ipv6_addr", MANY, "10s")}`,
  `set ephemeral ${timed("@th,128,128", MANY * 2, "3m")}`,
  ...both("synretry", (address) => timed(`${address} . tcp sport`, greylist, RETRY)),
  ...addresses("synrate", MANY, "10s"),
  `set index_rate ${timed("@th,96,32", MANY, "10s")}`,
  // Octets 4 to 19 of data: its number, which alone is not enough because others could send it first, and what is encrypted behind
  // it, which alone is not enough because some devices repeat their initialization vectors.
  `set data_seen ${timed("@th,96,128", MANY, "10s")}`,
  ...both("peer_rate", (address) => timed(`${address} . udp sport . udp dport`, MANY, "10s")),
  ...both("heavy", (address) => timed(`${address} . udp sport . udp dport`, MANY, "30s")),
];

const isV6 = (address: string) => address.includes(":");
const ofFamily = (list: string[], family: 4 | 6) => list.filter((address) => isV6(address) === (family === 6));

/** Sets that the agent fills; a reload makes them what the host is now. */
export const GIVEN_SETS = [
  ...([4, 6] as const).flatMap((family) => [
    `set never${family} { type ipv${family}_addr; flags interval; auto-merge; }`,
    `set local${family} { type ipv${family}_addr; }`,
  ]),
  "set listening { type inet_service; }",
];

/** `flush` and `add` of what the agent gives, to stand after the table's definition. */
export function givenElements(facts: HostFacts): string[] {
  const fill = (set: string, elements: (string | number)[]) => [
    `flush set inet ${facts.table} ${set}`,
    ...(elements.length > 0 ? [`add element inet ${facts.table} ${set} { ${elements.join(", ")} }`] : []),
  ];
  return [
    ...([4, 6] as const).flatMap((family) => [
      ...fill(`never${family}`, ofFamily(facts.neverBlock, family)),
      ...fill(`local${family}`, ofFamily(facts.localAddresses, family)),
    ]),
    ...fill("listening", facts.listeningUdp),
  ];
}

/** Whoever may never be blocked passes every mitigation; no rule at all when the list is empty, because junk pays for it. */
export const sparing = (prefixes: string[]): string[] => [
  ...(ofFamily(prefixes, 4).length > 0 ? ["ip saddr @never4 accept"] : []),
  ...(ofFamily(prefixes, 6).length > 0 ? ["ip6 saddr @never6 accept"] : []),
];

/** Peers and connections that are live when the table is loaded; an element that is there already stays as it is. */
export function seedElements({
  table,
  seeds,
  connections,
}: Pick<HostFacts, "table" | "seeds" | "connections">): string[] {
  const add = (set: string, elements: string[]) =>
    elements.length > 0 ? [`add element inet ${table} ${set} { ${[...new Set(elements)].join(", ")} }`] : [];
  return ([4, 6] as const).flatMap((family) => {
    const mine = seeds.filter(({ address }) => isV6(address) === (family === 6));
    return [
      ...add(
        `peer${family}`,
        mine.map(({ address, port }) => `${address} . ${port}`),
      ),
      ...add(
        `ipsec${family}`,
        mine.flatMap(({ address, ipsec }) => (ipsec ? [address] : [])),
      ),
      ...add(
        `met${family}`,
        mine.map(({ address }) => address),
      ),
      ...add(
        `tcppeer${family}`,
        connections
          .filter(({ address }) => isV6(address) === (family === 6))
          .map(({ address, port, localPort }) => `${address} . ${port} . ${localPort}`),
      ),
    ];
  });
}
