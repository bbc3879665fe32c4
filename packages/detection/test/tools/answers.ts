import { be16, be32, bytes } from "../craft.ts";
import type { Dice } from "./dice.ts";

/** One service's answers: the port they come from, and what settles a run's content. */
export interface Service {
  port: number;
  answer(dice: Dice): () => Uint8Array;
}

const filled = (dice: Dice, head: Uint8Array, length: number) =>
  bytes(head, dice.bytes(Math.max(0, length - head.length)));

const nameOf = (labels: readonly string[]) => bytes(...labels.flatMap((label) => [label.length, label]), 0);
const TYPES = { a: 1, ns: 2, txt: 16, aaaa: 28, dnskey: 48, rrsig: 46, any: 255 } as const;

/** RFC 1035, with records that point back at the question, and EDNS behind them. */
export const dns: Service = {
  port: 53,
  answer(dice) {
    const zone = dice
      .of(
        [
          ["doj", "gov"],
          ["isc", "org"],
          ["pizzaseo", "com"],
        ],
        [["sl"], ["cyberium", "cc"], ["peacecorps", "gov"], ["irs", "gov"], ["hoffmeister", "be"], [""]],
      )
      .filter((label) => label !== "");
    const type = TYPES[dice.of(["any", "txt", "rrsig"] as const, ["any", "any", "dnskey", "txt", "a", "ns"] as const)];
    const flags = dice.of([0x8180, 0x8580], [0x8180, 0x8400, 0x8190, 0x8500, 0x8380]);
    const sizes = dice.of(
      [
        [1200, 4096],
        [450, 900],
      ],
      [
        [700, 1460],
        [2800, 4090],
        [512, 512],
        [1232, 1232],
        [180, 320],
      ],
    );
    // Subdomains that nobody has are refused one by one.
    const drowned = dice.chance(0.15);
    return () => {
      const labels = drowned ? [dice.letters(dice.between(6, 14)), ...zone] : zone;
      const length = drowned ? dice.between(95, 140) : dice.between(sizes[0]!, sizes[1]!);
      const records = Math.max(1, Math.floor(length / 120));
      const head = bytes(be16(dice.u32() >>> 16), be16(drowned ? 0x8183 : flags), [0, 1], be16(drowned ? 0 : records));
      const question = bytes(nameOf(labels), be16(drowned ? 1 : type), [0, 1]);
      const record = bytes([0xc0, 12], be16(type), [0, 1], be32(dice.between(60, 86_400)), be16(dice.between(40, 255)));
      return filled(dice, bytes(head, be16(drowned ? 1 : 0), [0, 1], question, record), length);
    };
  },
};

/** RFC 5905, and ntpdc's and ntpq's answers. */
export const ntp: Service = {
  port: 123,
  answer(dice) {
    const style = dice.of(
      ["monlist", "readvar"],
      ["monlist", "monlist", "old monlist", "readvar", "peerlist", "sysstats"],
    );
    let sequence = 0;
    return () => {
      sequence = (sequence + 1) & 0x7f;
      if (style === "readvar") {
        const text = `version="ntpd 4.2.6p5@1.2349-o", processor="mips", system="Linux/${dice.between(2, 5)}.6", leap=0, stratum=`;
        const head = bytes([dice.any([0x16, 0x1e, 0x26]), 0x82], be16(sequence), be16(0x0615), be16(0), be16(0));
        return bytes(head, be16(text.length), text, new Uint8Array((4 - (text.length % 4)) % 4));
      }
      const [code, items, size] =
        style === "peerlist" ? [0, dice.between(1, 8), 32] : style === "sysstats" ? [4, 1, 64] : [42, 6, 72];
      // The last one of each list is short.
      const count = dice.chance(0.05) ? 1 : items;
      const first = (style === "old monlist" ? 0x97 : 0xd7) & (dice.chance(0.05) ? 0xbf : 0xff);
      const implementation = style === "old monlist" ? 2 : 3;
      return bytes([first, sequence, implementation, code], be16(count), be16(size), dice.bytes(count * size));
    };
  },
};

/** UPnP Device Architecture 1.1, 1.3.3. */
export const ssdp: Service = {
  port: 1900,
  answer(dice) {
    const usn = dice.letters(8);
    const order = dice.of([0, 1], [2, 3]);
    const targets = [
      "upnp:rootdevice",
      "ssdp:all",
      `uuid:${usn}`,
      "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    ];
    const servers = dice.of(
      ["Linux/3.10 UPnP/1.0 MiniUPnPd/1.7", "Custom/1.0 UPnP/1.0 Proc/Ver"],
      ["Linux UPnP/1.0 Huawei-ATP-IGD", "ipOS/7.6 UPnP/1.0 ipGENADevice/1.0", "Ubuntu/12.04 UPnP/1.0 miniupnpd/1.0"],
    );
    return () => {
      const lines = [
        "CACHE-CONTROL: max-age=1810",
        "EXT:",
        `LOCATION: http://10.0.0.${dice.between(1, 254)}:${dice.between(1024, 65_000)}/rootDesc.xml`,
        `SERVER: ${servers}`,
        `ST: ${dice.any(targets)}`,
        `USN: uuid:${usn}-${dice.u32().toString(16)}::${dice.any(targets)}`,
      ];
      return bytes(`HTTP/1.1 200 OK\r\n${[...lines.slice(order), ...lines.slice(0, order)].join("\r\n")}\r\n\r\n`);
    };
  },
};

/** ASN.1 BER with the shortest length, or with lengths of a fixed width as Windows writes them. */
const element = (tag: number, content: Uint8Array, wide = false): Uint8Array => {
  const { length } = content;
  if (wide) return bytes([tag, 0x84], be32(length), content);
  if (length < 128) return bytes([tag, length], content);
  return length < 256 ? bytes([tag, 0x81, length], content) : bytes([tag, 0x82], be16(length), content);
};

/** RFC 3416: GetBulk's response with one variable binding after another. */
export const snmp: Service = {
  port: 161,
  answer(dice) {
    const community = dice.of(["public", "private"], ["public", "cisco", "manager", "ILMI"]);
    const version = dice.of([1], [1, 1, 0]);
    const bindings = dice.of(
      [[10, 40]],
      [
        [2, 6],
        [60, 120],
        [20, 20],
      ],
    );
    return () => {
      const list = Array.from({ length: dice.between(bindings[0]!, bindings[1]!) }, (_, i) =>
        element(
          0x30,
          bytes(
            element(6, bytes([0x2b, 6, 1, 2, 1, 2, 2, 1, dice.between(1, 22), i & 0x7f])),
            dice.chance(0.5)
              ? element(4, bytes(dice.letters(dice.between(4, 30))))
              : element(0x41, bytes(be32(dice.u32()))),
          ),
        ),
      );
      const pdu = bytes(element(2, bytes(be32(dice.u32() >>> 1))), [2, 1, 0, 2, 1, 0], element(0x30, bytes(...list)));
      return element(0x30, bytes([2, 1, version], element(4, bytes(community)), element(0xa2, pdu)));
    };
  },
};

/** memcached's protocol.txt: a frame header and the text protocol. */
export const memcached: Service = {
  port: 11211,
  answer(dice) {
    const stats = dice.of([false], [false, true]);
    const size = dice.of([1400], [1400, 1392, 1024]);
    const total = dice.of([750, 38], [12, 170, 740, 1024]);
    let part = 0;
    return () => {
      const head = bytes(be16(dice.of([0, 1], [0, 0x4141])), be16(part), be16(total), [0, 0]);
      const opening = stats ? `STAT pid ${dice.between(300, 30_000)}\r\nSTAT uptime ` : "VALUE key 0 1048576\r\n";
      const content = part === 0 || stats ? bytes(opening, dice.letters(40)) : bytes(dice.letters(1).repeat(60));
      part = (part + 1) % total;
      return bytes(head, content, new Uint8Array(Math.max(0, size - 8 - content.length)).fill(97));
    };
  },
};

/** RFC 4511 over UDP: an entry of the root, and that the search is done. */
export const cldap: Service = {
  port: 389,
  answer(dice) {
    const wide = dice.of([true], [true, true, false]);
    const doneApart = dice.of([false], [false, true]);
    const sizes = dice.of(
      [[2400, 3000]],
      [
        [1300, 1460],
        [180, 260],
        [2900, 4200],
        [700, 1400],
      ],
    );
    const id = element(2, bytes([dice.of([1, 7], [2, 3, 99])]));
    const done = element(0x30, bytes(id, element(0x65, bytes([10, 1, 0, 4, 0, 4, 0]), wide)), wide);
    return () => {
      if (doneApart && dice.chance(0.3)) return done;
      const attributes = ["currentTime", "subschemaSubentry", "dsServiceName", "namingContexts", "netlogon"];
      const attribute = element(
        0x30,
        bytes(
          element(4, bytes(dice.any(attributes))),
          element(0x31, dice.bytes(dice.between(sizes[0]!, sizes[1]!)), wide),
        ),
        wide,
      );
      const entry = element(0x64, bytes([4, 0], element(0x30, attribute, wide)), wide);
      return bytes(element(0x30, bytes(id, entry), wide), doneApart ? [] : done);
    };
  },
};

/** RFC 864: lines of 72 characters, each begins one further; some servers send one line, some any length. */
export const chargen: Service = {
  port: 19,
  answer(dice) {
    const lengths = dice.of(
      [[74, 74]],
      [
        [0, 512],
        [1022, 1024],
        [6000, 6000],
      ],
    );
    let start = dice.between(0, 94);
    return () => {
      start = (start + 1) % 95;
      const lines = Array.from({ length: Math.ceil((lengths[1]! + 1) / 74) }, (_, line) =>
        Array.from({ length: 72 }, (_, i) => String.fromCharCode(32 + ((start + line + i) % 95))).join(""),
      );
      return bytes(`${lines.join("\r\n")}\r\n`).subarray(0, Math.max(20, dice.between(lengths[0]!, lengths[1]!)));
    };
  },
};

/** WS-Discovery 1.1: a match, or the fault that any message gets. */
export const wsd: Service = {
  port: 3702,
  answer(dice) {
    const soap = dice.of(["SOAP-ENV", "soap"], ["s", "env", "soapenv", "SOAP-ENV"]);
    const fault = dice.of([false], [true, false]);
    const prologue = dice.of(
      ['<?xml version="1.0" encoding="UTF-8"?>'],
      ["", '<?xml version="1.0" encoding="utf-8" ?>\n'],
    );
    return () =>
      bytes(
        `${prologue}<${soap}:Envelope xmlns:${soap}="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing">`,
        `<${soap}:Header><wsa:MessageID>uuid:${dice.u32().toString(16)}</wsa:MessageID></${soap}:Header><${soap}:Body>`,
        fault
          ? `<${soap}:Fault><${soap}:Code/></${soap}:Fault>`
          : "<d:ProbeMatches><d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter",
        "x".repeat(dice.between(100, fault ? 300 : 1100)),
        `</${soap}:Body></${soap}:Envelope>`,
      );
  },
};

/** RFC 7252: the list of what a device offers, whole or in blocks. */
export const coap: Service = {
  port: 5683,
  answer(dice) {
    const type = dice.of([0x60], [0x50, 0x60, 0x64, 0x58]);
    const code = dice.of([0x45], [0x45, 0x84, 0x45]);
    const block = dice.of([[0xc1, 40]], [[0xc1, 40, 0xb1, 14], [0xd1, 10, 14], [0xc0]]);
    return () =>
      bytes(
        [type, code],
        be16(dice.u32() >>> 16),
        dice.bytes(type & 15),
        code === 0x84
          ? []
          : bytes(block, 0xff, '</.well-known/core>;ct=40,</qlink>;title="', dice.letters(dice.between(40, 900))),
      );
  },
};

/** RFC 7296, 2408: what a gateway answers to a first message. */
export const ike: Service = {
  port: 500,
  answer(dice) {
    const style = dice.of(["v1 main", "v2"], ["v1 main", "v2", "v2 refusal", "v1 refusal", "v1 aggressive"]);
    const size = dice.of([84, 104, 320], [80, 120, 156, 188, 432, 368]);
    const length = style === "v2 refusal" ? dice.any([36, 38]) : style === "v1 refusal" ? 40 : size;
    const [next, version, exchange, flags] = {
      "v1 main": [1, 0x10, 2, 0],
      "v1 aggressive": [1, 0x10, 4, 0],
      "v1 refusal": [11, 0x10, 5, 0],
      v2: [33, 0x20, 34, 0x20],
      "v2 refusal": [41, 0x20, 34, 0x20],
    }[style] as number[];
    const initiator = dice.bytes(8);
    return () => {
      const responder = style === "v2 refusal" ? new Uint8Array(8) : dice.bytes(8);
      const head = bytes(initiator, responder, [next!, version!, exchange!, flags!], be32(0), be32(length));
      return filled(dice, head, length);
    };
  },
};

/** OpenVPN's ssl_pkt.h: a server's hard reset, plain or behind an HMAC. */
export const openvpn: Service = {
  port: 1194,
  answer(dice) {
    const hmac = dice.of([0, 20], [0, 16, 32]);
    const remote = dice.bytes(8);
    return () => {
      const proof = hmac === 0 ? bytes() : bytes(dice.bytes(hmac), be32(1), be32(0x65000000 + dice.between(0, 1e6)));
      return bytes([0x40], dice.bytes(8), proof, [1], be32(0), remote, be32(0));
    };
  },
};

type Other = [port: number, head: readonly number[] | string, least: number, most: number];
const TRIED: readonly Other[] = [
  [1434, [5, 0xf0, 0, ...Buffer.from("ServerName;")], 90, 500],
  [3478, [1, 1, 0, 0x44, 0x21, 0x12, 0xa4, 0x42], 88, 108],
  [137, [0xe5, 0xd8, 0x85, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0x43, 0x4b], 193, 300],
  [5060, "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP ", 330, 700],
  [27015, [255, 255, 255, 255, 0x45, 0x20, 3], 500, 1400],
  [37810, [0x20, 0, 0, 0, 0x44, 0x48, 0x49, 0x50], 720, 760],
];
const SEALED: readonly Other[] = [
  [111, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 68, 1930],
  [3283, [0, 1, 3, 0xee, 0, 1, 0, 0], 1010, 1034],
  [10001, [1, 0, 0, 0xac, 2, 0, 10], 140, 208],
  [177, [0, 1, 0, 5], 35, 60],
  [520, [2, 2, 0, 0, 0, 2, 0, 0], 24, 504],
  [5353, [0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0, 9, 0x5f], 120, 900],
  [5093, [0x7b, 0, 0, 0], 1200, 1460],
  [10074, "call.startblast\r\n", 200, 1100],
  [32414, "HTTP/1.0 200 OK\r\nContent-Type: plex/media-server\r\n", 280, 320],
  [6881, "d2:ip6:", 250, 410],
  [30120, [255, 255, 255, 255, ...Buffer.from("infoResponse")], 300, 900],
  [27960, [255, 255, 255, 255, ...Buffer.from("statusResponse")], 500, 1300],
  [17185, [0, 0, 0, 0, 0, 0, 0, 1], 60, 500],
  [427, [2, 2, 0, 1, 0x5e, 0], 350, 1450],
  [3389, [0, 0, 0, 0, 0, 0x40, 0, 1], 1232, 1260],
  // In no list of reflectors: L2TP, ADDP, Moxa's and a game's.
  [1701, [0xc8, 2, 0, 0x5a], 90, 160],
  [2362, "DIGI\x00\x02\x00", 90, 170],
  [4800, [0x81, 0, 0, 0x18], 24, 66],
  [7778, [0x80, 0x53, 0x50, 0x4c], 300, 1200],
];

export const other = (dice: Dice): Service => {
  const [port, head, least, most] = dice.of(TRIED, SEALED);
  const start = typeof head === "string" ? bytes(head) : bytes(head);
  return { port, answer: () => () => filled(dice, start, dice.between(least, most)) };
};
