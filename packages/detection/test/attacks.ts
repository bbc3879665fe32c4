import type { Vector } from "@flowtriq/protocol/vector";
import { type Address, TCP } from "../src/packet.ts";
import { be16, be32, bytes, icmp, ip, tcp, udp } from "./craft.ts";
import type { Script, World } from "./world.ts";

/** Writes about `count` attack packets towards the host between `from` and `to` (milliseconds). */
export type Attack = (world: World, script: Script, count: number, from: number, to: number) => void;

const times = (world: World, count: number, from: number, to: number) =>
  Array.from({ length: count }, () => from + world.random() * (to - from)).sort((a, b) => a - b);

interface Sender {
  from: Address;
  ttl: number;
}

/** Who sends: made-up addresses with a few TTLs, or machines with their own. */
function senders(world: World, count: number, { spoofing = 0.5, least = 8 } = {}): () => Sender {
  if (world.chance(spoofing)) {
    const base = world.choose([64, 128, 255, 200, 244, 111]) - world.int(3, 25);
    const paths = world.int(1, 3);
    const narrow = world.chance(0.15) ? world.client() : undefined;
    const from = (): Address => {
      if (typeof narrow === "number") return ((narrow & 0xffff0000) | world.int(0, 0xffff)) >>> 0;
      return world.madeUp();
    };
    if (world.chance(0.1)) return () => ({ from: from(), ttl: world.int(30, 250) });
    return () => ({ from: from(), ttl: base - world.int(0, paths - 1) });
  }
  const bots = Array.from({ length: Math.max(least, world.scale(least, Math.max(least, count))) }, () => ({
    from: world.client(),
    ttl: world.ttl(),
  }));
  return () => bots[Math.floor(world.random() ** 1.3 * bots.length)]!;
}

/** Machines that answer what they were asked in the host's name. */
function reflectors(world: World, count: number): () => Sender {
  return senders(world, count, { spoofing: 0, least: Math.min(6, count) });
}

type Answer = (world: World) => { sport: number; payload: (world: World) => Uint8Array };

function reflection(answer: Answer): Attack {
  return (world, script, count, from, to) => {
    const { sport, payload } = answer(world);
    const sender = reflectors(world, count);
    const dport = world.choose([80, 443, 22, 53, 1194, 51820, 3074, 7777, 25565, 30120]);
    const scattered = world.chance(0.3);
    const nat = world.chance(0.2) ? 0.4 : 0;
    let left = count;
    for (const at of times(world, count, from, to)) {
      if (left-- <= 0) break;
      const ends = {
        ...sender(),
        to: world.host,
        sport: world.chance(nat) ? world.port() : sport,
        dport: scattered ? world.port() : dport,
      };
      const whole = payload(world);
      const pieces = whole.length > 1472;
      if (!pieces) {
        script.in(at, udp({ ...ends, payload: whole }));
        continue;
      }
      const id = world.int(1, 0xffff);
      const size = 1464;
      const rest = whole.subarray(size);
      script.in(
        at,
        udp({ ...ends, id, moreFragments: true, udpLength: whole.length + 8, payload: whole.subarray(0, size) }),
      );
      for (let offset = size + 8; offset - 8 < whole.length && left > 0; offset += 1472, left--) {
        const part = rest.subarray(offset - size - 8, offset - size - 8 + 1472);
        if (part.length === 0) break;
        script.in(
          at + 0.05,
          ip({ ...ends, id, fragmentOffset: offset, moreFragments: part.length === 1472 }, 17, part),
        );
      }
    }
  };
}

const name = (labels: string[]) => bytes(...labels.flatMap((label) => [label.length, label]), 0);
const pad = (world: World, head: Uint8Array, length: number) =>
  bytes(head, world.bytes(Math.max(0, length - head.length)));

const dns: Answer = (world) => {
  const domain = name([
    world.choose(["isc", "ripe", "access-board", "nlrb", "peacecorps", "cpsc"]),
    world.choose(["org", "gov", "net", "su"]),
  ]);
  const type = world.choose([255, 255, 46, 255, 16, 48, 255, 1]);
  const sizes = world.choose([
    [200, 1400],
    [900, 4000],
    [60, 500],
    [1400, 1472],
  ]);
  const payload = (w: World) =>
    pad(
      w,
      bytes(
        be16(w.int(0, 65535)),
        w.choose([
          [0x81, 0x80],
          [0x85, 0x00],
          [0x83, 0x80],
          [0x84, 0x00],
        ]),
        [0, 1],
        be16(w.int(1, 30)),
        [0, 0, 0, 1],
        domain,
        be16(type),
        [0, 1],
        [0xc0, 0x0c],
      ),
      w.int(sizes[0]!, sizes[1]!),
    );
  return { sport: 53, payload };
};

const ntp: Answer = (world) => {
  const style = world.choose(["monlist", "monlist", "readvar", "peers"]);
  const payload = (w: World) => {
    if (style === "readvar")
      return bytes(
        [0x16, 0x82, ...be16(w.int(1, 9)), 0, 0, 0, 0, 0, 0],
        be16(360),
        'version="ntpd 4.2.',
        w.bytes(w.int(60, 460)),
      );
    const items = w.int(1, 6);
    const code = style === "peers" ? 0 : 42;
    return bytes([0xd7, w.int(0, 100), style === "peers" ? 2 : 3, code, 0, items, 0, 72], w.bytes(items * 72));
  };
  return { sport: 123, payload };
};

const ssdp: Answer = (world) => {
  const age = world.choose([1800, 120, 100, 3600]);
  const server = world.choose(["Linux/2.6 UPnP/1.0", "Net-OS 5.xx UPnP/1.0", "RT/1.0 UPnP/1.0", "ZyXEL-RomPlug/4.51"]);
  const payload = (w: World) =>
    bytes(
      `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=${age}\r\nST: ${w.choose(["upnp:rootdevice", "ssdp:all", "uuid:", "urn:schemas"])}${w.int(1, 1e9)}\r\nEXT:\r\nSERVER: ${server}\r\nLOCATION: http://192.168.1.1:${w.int(1024, 65535)}/desc.xml\r\n\r\n`,
    );
  return { sport: 1900, payload };
};

const ber = (tag: number, content: Uint8Array) =>
  content.length < 128
    ? bytes(tag, content.length, content)
    : content.length < 256
      ? bytes([tag, 0x81, content.length], content)
      : bytes([tag, 0x82, ...be16(content.length)], content);

const snmp: Answer = (world) => {
  const community = world.choose(["public", "public", "private", "community"]);
  const version = world.choose([0, 1]);
  const payload = (w: World) =>
    ber(
      0x30,
      bytes(
        [2, 1, version],
        ber(4, bytes(community)),
        ber(
          0xa2,
          bytes([2, 4], be32(w.int(1, 1e9)), [2, 1, 0, 2, 1, 0], w.bytes(w.choose([20, 60, 200, 1000, 1300, 30]))),
        ),
      ),
    );
  return { sport: 161, payload };
};

const memcached: Answer = () => ({
  sport: 11211,
  payload: (w) => {
    const total = w.int(1, 500);
    const head = bytes(be16(w.int(0, 9)), be16(w.int(0, total - 1)), be16(total), [0, 0]);
    return pad(
      w,
      bytes(
        head,
        w.chance(0.4)
          ? `VALUE ${w.choose(["a", "x", "p", "key"])} 0 1048576\r\n`
          : w.chance(0.3)
            ? "STAT pid 812\r\n"
            : "aaaaaa",
      ),
      w.int(60, 1400),
    );
  },
});

const cldap: Answer = (world) => {
  const short = world.chance(0.3);
  return {
    sport: 389,
    payload: (w) => {
      const body = w.bytes(w.int(150, 2800));
      const id = [2, 1, w.int(1, 7)];
      return short
        ? ber(0x30, bytes(id, ber(0x64, bytes([4, 0], body))))
        : bytes([0x30, 0x84], be32(body.length + 11), id, [0x64, 0x84], be32(body.length + 2), [4, 0], body);
    },
  };
};

const chargen: Answer = () => ({
  sport: 19,
  payload: (w) => {
    const start = w.int(0, 94);
    let text = "";
    for (let line = 0; line < w.int(1, 12); line++) {
      for (let i = 0; i < 72; i++) text += String.fromCharCode(33 + ((start + line + i) % 94));
      text += "\r\n";
    }
    return bytes(text);
  },
});

const wsd: Answer = (world) => {
  const opening = world.choose(["SOAP-ENV:Envelope", "soap:Envelope", "s:Envelope", "env:Envelope"]);
  return {
    sport: 3702,
    payload: (w) =>
      pad(
        w,
        bytes(`<?xml version="1.0" encoding="UTF-8"?><${opening} xmlns:a="http://www.w3.org/2003/05/soap-envelope">`),
        w.int(400, 1400),
      ),
  };
};

const coap: Answer = () => ({
  sport: 5683,
  payload: (w) =>
    pad(
      w,
      bytes(
        [w.choose([0x60, 0x50, 0x62, 0x51]), w.choose([0x45, 0x45, 0x84, 0x44])],
        be16(w.int(0, 65535)),
        [0xc1, 0x28, 0xff],
        "</.well-known/core>",
      ),
      w.int(40, 700),
    ),
});

const ike: Answer = (world) => {
  const version = world.choose([0x10, 0x20]);
  const exchange = version === 0x20 ? 34 : world.choose([2, 5, 2, 4]);
  const length = world.choose([36, 104, 56, 84, 300, 176]);
  return {
    sport: 500,
    payload: (w) =>
      pad(
        w,
        bytes(
          w.bytes(16),
          [version === 0x20 ? 33 : exchange === 5 ? 11 : 1, version, exchange, version === 0x20 ? 0x20 : 0],
          be32(0),
          be32(length),
        ),
        length,
      ).subarray(0, length),
  };
};

const openvpn: Answer = (world) => {
  const length = world.choose([26, 14, 54, 66, 42, 50]);
  return {
    sport: 1194,
    payload: (w) =>
      pad(
        w,
        length === 26 ? bytes(0x40, w.bytes(8), [1, 0, 0, 0, 0], w.bytes(8), be32(0)) : bytes(0x40, w.bytes(8)),
        length,
      ),
  };
};

const others: Answer = (world) => {
  const [sport, head, least, most] = world.choose<[number, number[], number, number]>([
    [111, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0], 100, 600],
    [137, [0x80, 0xf0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0x43, 0x4b], 150, 300],
    [1434, [5, 0x90, 1, 0x53], 60, 700],
    [3283, [0, 1, 3, 0xe8], 1000, 1034],
    [10001, [1, 0, 0, 0xb0, 2], 150, 240],
    [37810, [0x20, 0, 0, 0, 0x44, 0x48, 0x49, 0x50], 400, 900],
    [520, [2, 2, 0, 0, 0, 2], 24, 504],
    [3478, [1, 1, 0, 60, 0x21, 0x12, 0xa4, 0x42], 80, 130],
    [27015, [0xff, 0xff, 0xff, 0xff, 0x49], 80, 300],
    [17, [0x22], 60, 400],
    [69, [0, 3, 0, 1], 516, 516],
    [5093, [0x7a, 0, 0, 0], 800, 1400],
    [10074, [0x63, 0x61, 0x6c, 0x6c], 100, 1200],
    [32414, [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e, 0x30], 200, 350],
    [5060, [0x53, 0x49, 0x50, 0x2f, 0x32, 0x2e, 0x30, 0x20], 300, 600],
    [6881, [0x64, 0x31, 0x3a, 0x72, 0x64], 150, 400],
    // In nobody's list.
    [world.int(2000, 30000), [0xab, 0xcd], 120, 1100],
  ]);
  return { sport, payload: (w) => pad(w, bytes(head), w.int(least, most)) };
};

function flood(write: (world: World, count: number) => (sender: Sender) => Uint8Array, who = {}): Attack {
  return (world, script, count, from, to) => {
    const sender = senders(world, count, who);
    const packet = write(world, count);
    for (const at of times(world, count, from, to)) script.in(at, packet(sender()));
  };
}

/** A port that many attack, or all of them. */
const aim = (world: World, list: readonly number[]) => {
  const port = world.choose(list);
  const scattered = world.chance(0.15);
  return () => (scattered ? world.int(1, 65_535) : port);
};

const syn = flood((world) => {
  const options = world.choose([
    bytes(),
    bytes(),
    bytes([2, 4, 5, 0xb4]),
    bytes(),
    bytes([2, 4, 5, 0xb4, 4, 2, 1, 1]),
    bytes([2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2]),
  ]);
  const window = world.choose([0, 512, 1024, 8192, 64240, 65535, 29200, 14600]);
  const rolling = world.chance(0.3);
  const dport = aim(world, [80, 443, 22, 1723, 25565, 8080]);
  return ({ from, ttl }) =>
    tcp({
      from,
      to: world.host,
      ttl,
      sport: world.int(1, 65535),
      dport: dport(),
      flags: TCP.syn,
      seq: world.int(0, 2 ** 32 - 1),
      window: rolling ? world.int(0, 65535) : window,
      options,
    });
});

const synAck: Attack = (world, script, count, from, to) => {
  const sender = senders(world, count, { spoofing: 0, least: Math.min(8, count) });
  const sport = world.choose([80, 443, 22, 25, 179, 8080]);
  const dport = world.chance(0.5) ? world.choose([80, 443, 53, 22]) : 0;
  for (const at of times(world, count, from, to)) {
    const who = sender();
    const reset = world.chance(0.12);
    script.in(
      at,
      tcp({
        ...who,
        to: world.host,
        sport,
        dport: dport || world.port(),
        flags: reset ? TCP.rst | (world.chance(0.5) ? TCP.ack : 0) : TCP.syn | TCP.ack,
        seq: world.int(0, 2 ** 32 - 1),
        ack: world.int(0, 2 ** 32 - 1),
        window: reset ? 0 : world.choose([29200, 65535, 14600, 8192]),
        options: reset ? bytes() : bytes([2, 4, 5, 0x78]),
      }),
    );
  }
};

const segments = (flags: (world: World) => () => number, payload = 0) =>
  flood((world) => {
    const next = flags(world);
    const dport = aim(world, [80, 443, 22, 1723, 8443, 3389]);
    const window = world.choose([512, 64, 65535, 5840, 0, 1024]);
    const rolling = world.chance(0.4);
    const size = world.chance(0.6) ? 0 : world.choose([1, 120, 512, 1400]) + payload;
    return ({ from, ttl }) =>
      tcp({
        from,
        to: world.host,
        ttl,
        sport: world.int(1, 65535),
        dport: dport(),
        flags: next(),
        seq: world.int(0, 2 ** 32 - 1),
        ack: world.int(0, 2 ** 32 - 1),
        window: rolling ? world.int(1, 65535) : window,
        payload: world.bytes(size),
      });
  });

const ack = segments((world) => {
  const flags = world.choose([TCP.ack, TCP.ack | TCP.psh, TCP.ack, TCP.ack | TCP.fin]);
  return () => flags;
});
const rst = segments((world) => {
  const flags = world.choose([TCP.rst, TCP.rst | TCP.ack]);
  return () => flags;
});
const odd = segments((world) => {
  const style = world.choose(["null", "xmas", "rolling", "synfin"]);
  if (style === "rolling") return () => world.int(0, 63);
  const flags = style === "null" ? 0 : style === "xmas" ? 0x29 : TCP.syn | TCP.fin;
  return () => flags;
});

const udpFlood = flood((world) => {
  const style = world.choose(["random", "constant", "empty", "random", "zeros", "text"]);
  const size = world.choose([16, 64, 200, 512, 1024, 1400, 1, 32]);
  const vary = world.chance(0.3);
  const constant = world.bytes(size);
  const dport = aim(world, [
    51820,
    1194,
    80,
    443,
    53,
    3074,
    500,
    9987,
    25565,
    world.vpn("wireguard"),
    world.vpn("openvpn"),
  ]);
  const sport = world.chance(0.2) ? world.choose([53, 123, 80, 1900]) : 0;
  const content = (): Uint8Array => {
    const length = vary ? world.int(1, size) : size;
    if (style === "random") return world.bytes(length);
    if (style === "empty") return bytes();
    if (style === "zeros") return new Uint8Array(length);
    if (style === "text") return bytes("X".repeat(length));
    return constant;
  };
  return ({ from, ttl }) =>
    udp({ from, to: world.host, ttl, sport: sport || world.int(1, 65535), dport: dport(), payload: content() });
});

const fragments = flood((world) => {
  const offset = world.choose([0, 1480, 8, 2960]);
  const size = world.choose([1480, 64, 512, 1400]);
  const rolling = world.chance(0.5);
  return ({ from, ttl }) =>
    ip(
      {
        from,
        to: world.host,
        ttl,
        id: world.int(0, 65535),
        fragmentOffset: rolling ? world.int(1, 8000) * 8 : offset || 1480,
        moreFragments: world.chance(0.5),
      },
      17,
      world.bytes(size),
    );
});

const echoes = flood((world) => {
  const size = world.choose([0, 56, 1024, 1400, 32, 120]);
  const reply = world.chance(0.3);
  const constant = world.chance(0.7) ? world.bytes(size) : undefined;
  const [request, answer] = world.family === 4 ? [8, 0] : [128, 129];
  return ({ from, ttl }) =>
    icmp({ from, to: world.host, ttl, type: reply ? answer! : request!, payload: constant ?? world.bytes(size) });
});

const portless = (protocol: (world: World) => number, head: (world: World) => () => Uint8Array) =>
  flood((world) => {
    const number = protocol(world);
    const start = head(world);
    const size = world.choose([8, 64, 512, 1000]);
    return ({ from, ttl }) => ip({ from, to: world.host, ttl }, number, bytes(start(), world.bytes(size)));
  });

const gre = portless(
  () => 47,
  (world) => {
    const head = world.choose([
      [0, 0, 8, 0],
      [0, 0, 0, 0],
      [0x30, 0x81, 0x88, 0x0b],
      [0, 0, 0x65, 0x58],
    ]);
    return () => bytes(head);
  },
);
const esp = portless(
  () => 50,
  (world) => {
    const zero = world.chance(0.3);
    return () => (zero ? new Uint8Array(8) : world.bytes(8));
  },
);
const ah = portless(
  () => 51,
  (world) => {
    const zero = world.chance(0.4);
    return () => bytes([17, 4, 0, 0], zero ? new Uint8Array(8) : world.bytes(8), new Uint8Array(12));
  },
);
const otherProtocol = portless(
  (world) => world.choose([132, 4, 97, 255, 41, 2, 136, 94]),
  (world) => () => world.bytes(4),
);

const wireguard = (write: (world: World) => () => Uint8Array) =>
  flood((world) => {
    const message = write(world);
    return ({ from, ttl }) =>
      udp({ from, to: world.host, ttl, sport: world.port(), dport: world.vpn("wireguard"), payload: message() });
  });

const initiations = wireguard((world) => {
  // The public key is in every client's configuration: a careful attacker signs.
  const signed = world.chance(0.25);
  return () => {
    const start = bytes([1, 0, 0, 0], world.bytes(112));
    return bytes(signed ? world.sign(start) : bytes(start, world.bytes(16)), new Uint8Array(16));
  };
});
const wireguardData = wireguard((world) => {
  const size = world.choose([32, 80, 1452, 112, 1280, 144]);
  const captured = world.chance(0.25) ? world.bytes(4) : undefined;
  return () => bytes([4, 0, 0, 0], captured ?? world.bytes(4), be32(0), be32(0), world.bytes(size - 16));
});

const openvpnReset = (world: World) => {
  const length = world.choose([14, 42, 54, 54, 86, 42]);
  return () => {
    const head = bytes(0x38, world.bytes(8));
    if (length === 14) return bytes(head, new Uint8Array(5));
    if (length === 54) return bytes(head, [0, 0, 0, 1], world.bytes(41));
    return bytes(head, world.bytes(length - 22), [0, 0, 0, 1], world.bytes(9)).subarray(0, length);
  };
};
const openvpnResets = flood((world) => {
  const reset = openvpnReset(world);
  return ({ from, ttl }) =>
    udp({ from, to: world.host, ttl, sport: world.port(), dport: world.vpn("openvpn"), payload: reset() });
});
const openvpnData = flood((world) => {
  const size = world.choose([40, 1400, 120, 600]);
  const v1 = world.chance(0.3);
  const control = world.chance(0.2);
  return ({ from, ttl }) =>
    udp({
      from,
      to: world.host,
      ttl,
      sport: world.port(),
      dport: world.vpn("openvpn"),
      payload: control
        ? bytes(0x20, world.bytes(size))
        : v1
          ? bytes(0x30, world.bytes(size))
          : bytes([0x48, 0, world.int(0, 1), world.int(0, 255)], world.bytes(size)),
    });
});

const ikeInit = (world: World) => {
  const version = world.choose([0x20, 0x10]);
  const length = world.choose([28, 240, 464, 60, 336, 84]);
  return () =>
    bytes(
      world.bytes(8),
      new Uint8Array(8),
      [version === 0x20 ? 33 : 1, version, version === 0x20 ? 34 : 2, version === 0x20 ? 8 : 0],
      be32(0),
      be32(length),
      world.bytes(length - 28),
    );
};
const ikeInits = flood((world) => {
  const init = ikeInit(world);
  const sport = world.chance(0.5) ? 500 : 0;
  return ({ from, ttl }) =>
    udp({ from, to: world.host, ttl, sport: sport || world.port(), dport: 500, payload: init() });
});

/** The attack of each vector; `multi_vector` and `handshake_starvation` are composed in traffic.ts. */
export const attacks: Record<Exclude<Vector, "multi_vector" | "handshake_starvation">, Attack> = {
  udp_flood: udpFlood,
  udp_fragment_flood: fragments,
  dns_amplification: reflection(dns),
  ntp_amplification: reflection(ntp),
  ssdp_amplification: reflection(ssdp),
  snmp_amplification: reflection(snmp),
  memcached_amplification: reflection(memcached),
  cldap_amplification: reflection(cldap),
  chargen_amplification: reflection(chargen),
  wsd_amplification: reflection(wsd),
  coap_amplification: reflection(coap),
  ike_amplification: reflection(ike),
  openvpn_amplification: reflection(openvpn),
  udp_amplification: reflection(others),
  syn_flood: syn,
  syn_ack_reflection: synAck,
  ack_flood: ack,
  rst_flood: rst,
  tcp_flood: odd,
  icmp_flood: echoes,
  gre_flood: gre,
  esp_flood: esp,
  ah_flood: ah,
  protocol_flood: otherProtocol,
  wireguard_handshake_flood: initiations,
  wireguard_data_flood: wireguardData,
  openvpn_handshake_flood: openvpnResets,
  openvpn_data_flood: openvpnData,
  ike_handshake_flood: ikeInits,
};
/** Openings that starve a server at a low rate. */
export const trickles: Attack[] = [openvpnResets, ikeInits];
