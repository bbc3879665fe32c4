import { type Address, TCP } from "../src/packet.ts";
import { be16, be32, bytes, icmp, ip, tcp, udp } from "./craft.ts";
import type { Script, World } from "./world.ts";

/** Writes about `count` packets of ordinary traffic, both ways, between `from` and `to` (milliseconds). */
export type Ordinary = (world: World, script: Script, count: number, from: number, to: number) => void;

interface Peer {
  address: Address;
  port: number;
  ttl: number;
}
const peerOf = (world: World, port = world.port()): Peer => ({ address: world.client(), port, ttl: world.ttl() });
const evenly = (count: number, from: number, to: number, each: (at: number, i: number) => void) => {
  for (let i = 0; i < count; i++) each(from + ((to - from) * (i + 0.5)) / count, i);
};

/** Datagrams to and fro between one peer's port and ours; `a` makes the peer's, `b` ours. */
function talk(
  world: World,
  script: Script,
  peer: Peer,
  port: number,
  { count, from, to, share = 0.5 }: { count: number; from: number; to: number; share?: number },
  a: (i: number) => Uint8Array,
  b: (i: number) => Uint8Array,
): void {
  evenly(count, from, to, (at, i) => {
    const jitter = at + world.random() * Math.min(5, (to - from) / Math.max(1, count));
    if (i === 0 || world.chance(share)) {
      script.in(
        jitter,
        udp({ from: peer.address, to: world.host, ttl: peer.ttl, sport: peer.port, dport: port, payload: a(i) }),
      );
      if (i === 0)
        script.out(
          jitter + 1,
          udp({ from: world.host, to: peer.address, sport: port, dport: peer.port, payload: b(i) }),
        );
    } else {
      script.out(jitter, udp({ from: world.host, to: peer.address, sport: port, dport: peer.port, payload: b(i) }));
    }
  });
}

/** A service of ours with some clients, or services that we use. */
function sessions(
  options: { port: (world: World) => number; sessions: (world: World, count: number) => number; ours: boolean },
  write: (world: World) => { a: (i: number) => Uint8Array; b: (i: number) => Uint8Array; share?: number },
): Ordinary {
  return (world, script, count, from, to) => {
    const port = options.port(world);
    const number = Math.max(1, Math.min(Math.floor(count / 2), options.sessions(world, count)));
    for (let s = 0; s < number; s++) {
      const { a, b, share } = write(world);
      const peer = peerOf(world, options.ours ? world.port() : port);
      const local = options.ours ? port : world.port();
      // Sessions begin at different times.
      const start = from + world.random() * (to - from) * 0.5;
      talk(world, script, peer, local, { count: Math.ceil(count / number), from: start, to, share }, a, b);
    }
  };
}

const question = (world: World) =>
  bytes([world.int(3, 9)], "host", "name".slice(0, 4)).subarray(0, 1 + 8).length > 0
    ? (() => {
        const label = String.fromCharCode(...Array.from({ length: world.int(3, 12) }, () => world.int(97, 122)));
        return bytes(label.length, label, 3, "com", 0, [0, world.choose([1, 28, 1, 65])], [0, 1]);
      })()
    : bytes();

/** Resolvers answer the host; or, on a resolver, many name servers do. */
const dnsClient: Ordinary = (world, script, count, from, to) => {
  const servers = Array.from({ length: world.chance(0.7) ? world.int(1, 3) : world.int(20, 200) }, () =>
    peerOf(world, 53),
  );
  evenly(Math.max(1, Math.round(count / 2)), from, to, (at) => {
    const server = servers[world.int(0, servers.length - 1)]!;
    const id = be16(world.int(0, 65535));
    const asked = question(world);
    const sport = world.port();
    script.out(
      at,
      udp({
        from: world.host,
        to: server.address,
        sport,
        dport: 53,
        payload: bytes(id, [1, 0, 0, 1, 0, 0, 0, 0, 0, 0], asked),
      }),
    );
    const answer = bytes(
      id,
      [0x81, 0x80, 0, 1],
      be16(world.int(0, 4)),
      [0, 0, 0, 1],
      asked,
      [0xc0, 0x0c, 0, 1],
      world.bytes(world.int(10, 300)),
    );
    script.in(
      at + world.int(2, 60),
      udp({ from: server.address, to: world.host, ttl: server.ttl, sport: 53, dport: sport, payload: answer }),
    );
  });
};

const requests =
  (port: number, ask: (world: World) => Uint8Array, reply: (world: World, asked: Uint8Array) => Uint8Array): Ordinary =>
  (world, script, count, from, to) => {
    evenly(Math.max(1, Math.round(count / 2)), from, to, (at) => {
      const client = peerOf(world);
      const asked = ask(world);
      script.in(
        at,
        udp({ from: client.address, to: world.host, ttl: client.ttl, sport: client.port, dport: port, payload: asked }),
      );
      script.out(
        at + 1,
        udp({ from: world.host, to: client.address, sport: port, dport: client.port, payload: reply(world, asked) }),
      );
    });
  };
const dnsServer = requests(
  53,
  (world) => bytes(be16(world.int(0, 65535)), [1, 0, 0, 1, 0, 0, 0, 0, 0, 0], question(world)),
  (world, asked) => bytes(asked.subarray(0, 2), [0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0], asked.subarray(12), world.bytes(60)),
);
const ntpServer = requests(
  123,
  (world) => bytes([world.choose([0x23, 0x1b, 0xe3]), 0, 6, 0xec], world.bytes(44)),
  (world) => bytes([0x24, 2, 6, 0xec], world.bytes(44)),
);

const ntpClient: Ordinary = (world, script, count, from, to) => {
  const servers = Array.from({ length: world.int(1, 4) }, () => peerOf(world, 123));
  evenly(Math.max(1, Math.round(count / 2)), from, to, (at, i) => {
    const server = servers[i % servers.length]!;
    script.out(
      at,
      udp({
        from: world.host,
        to: server.address,
        sport: 123,
        dport: 123,
        payload: bytes([0x23, 0, 6, 0xec], world.bytes(44)),
      }),
    );
    script.in(
      at + 20,
      udp({
        from: server.address,
        to: world.host,
        ttl: server.ttl,
        sport: 123,
        dport: 123,
        payload: bytes([0x24, 2, 6, 0xec], world.bytes(44)),
      }),
    );
  });
};

const some = (least: number, most: number) => (world: World) => world.scale(least, most);

const quic = (ours: boolean) =>
  sessions({ port: () => 443, sessions: ours ? some(2, 60) : some(1, 4), ours }, (world) => {
    const id = world.bytes(8);
    const write = (i: number) =>
      i < 2
        ? bytes([0xc3, 0, 0, 0, 1, 8], id, world.bytes(1180))
        : bytes(0x40 | world.int(0, 63), id, world.bytes(world.choose([20, 1200, 1250, 60])));
    return { a: write, b: write, share: world.chance(0.5) ? 0.3 : 0.7 };
  });

const game = (ours: boolean) =>
  sessions(
    {
      port: (world) => world.choose([27015, 7777, 19132, 3074, 30120, 34197]),
      sessions: ours ? some(2, 64) : some(1, 2),
      ours,
    },
    (world) => {
      const types = [0x01, 0x84, world.int(0, 3)];
      const write = (i: number) => bytes(types[i % 3]!, be32(i), world.bytes(world.int(12, 180)));
      return { a: write, b: write, share: ours ? 0.5 : 0.6 };
    },
  );

const rtp = sessions({ port: (world) => world.int(10_000, 60_000), sessions: some(1, 6), ours: true }, (world) => {
  const ssrc = world.bytes(4);
  const size = world.choose([160, 172, 80, 1100]);
  const type = world.choose([0, 8, 96, 111]);
  const write = (i: number) => bytes([0x80, type], be16(i), be32(i * 160), ssrc, world.bytes(size));
  return { a: write, b: write, share: world.choose([0.5, 0.95]) };
});

const torrent: Ordinary = (world, script, count, from, to) => {
  const port = world.int(6881, 60_000);
  evenly(Math.max(1, Math.round(count / 2)), from, to, (at) => {
    const node = peerOf(world);
    const ping = bytes(
      "d1:ad2:id20:",
      world.bytes(20),
      `e1:q4:${world.choose(["ping", "find"])}1:t2:`,
      world.bytes(2),
      "1:y1:qe",
    );
    const pong = bytes("d1:rd2:id20:", world.bytes(20), "e1:t2:", world.bytes(2), "1:y1:re");
    const ends = { from: node.address, to: world.host, ttl: node.ttl, sport: node.port, dport: port };
    const back = { from: world.host, to: node.address, sport: port, dport: node.port };
    if (world.chance(0.5)) {
      script.in(at, udp({ ...ends, payload: ping }));
      script.out(at + 1, udp({ ...back, payload: pong }));
    } else {
      script.out(at, udp({ ...back, payload: ping }));
      script.in(at + 80, udp({ ...ends, payload: pong }));
    }
  });
};

const unknownTunnel = (ours: boolean) =>
  sessions(
    { port: (world) => world.choose([55655, 9993, 41641, 2408, 8443, 137, 10100]), sessions: some(1, 5), ours },
    (world) => {
      const write = () => world.bytes(world.choose([40, 90, 1380, 1400, 200]));
      return { a: write, b: write };
    },
  );

/** WireGuard: a handshake, then data under the index that each side gave. */
const wireguard =
  (ours: boolean): Ordinary =>
  (world, script, count, from, to) => {
    const number = ours ? Math.min(Math.ceil(count / 6), world.scale(1, 40)) : 1;
    for (let s = 0; s < number; s++) {
      const peer = peerOf(world, ours ? world.port() : world.vpn("wireguard"));
      const port = ours ? world.vpn("wireguard") : world.port();
      const [theirs, mine] = [world.bytes(4), world.bytes(4)];
      const initiation = bytes(world.sign(bytes([1, 0, 0, 0], theirs, world.bytes(108))), new Uint8Array(16));
      const response = bytes([2, 0, 0, 0], mine, theirs, world.bytes(64), new Uint8Array(16));
      const size = world.choose([1452, 80, 128, 1362]);
      const data = (index: Uint8Array) => (i: number) =>
        bytes([4, 0, 0, 0], index, [i & 255, i >> 8, 0, 0], be32(0), world.bytes((world.chance(0.7) ? size : 96) - 16));
      const start = from + world.random() * (to - from) * 0.4;
      talk(
        world,
        script,
        peer,
        port,
        { count: Math.ceil(count / number), from: start, to, share: world.choose([0.3, 0.5, 0.8]) },
        (i) => (i === 0 ? initiation : data(mine)(i)),
        (i) => (i === 0 ? response : data(theirs)(i)),
      );
    }
  };

const openvpn: Ordinary = (world, script, count, from, to) => {
  const number = Math.min(Math.ceil(count / 8), world.scale(1, 30));
  for (let s = 0; s < number; s++) {
    const peer = peerOf(world);
    const id = world.bytes(8);
    const peerId = [0, 0, s];
    const data = () => bytes(0x48, peerId, world.bytes(world.choose([60, 1400, 110, 300])));
    const a = (i: number) =>
      i === 0 ? bytes(0x38, id, new Uint8Array(5)) : i < 4 ? bytes(0x20, id, world.bytes(120)) : data();
    const b = (i: number) => (i === 0 ? bytes(0x40, world.bytes(25)) : i < 4 ? bytes(0x20, world.bytes(300)) : data());
    const start = from + world.random() * (to - from) * 0.4;
    talk(
      world,
      script,
      peer,
      world.vpn("openvpn"),
      { count: Math.max(6, Math.ceil(count / number)), from: start, to },
      a,
      b,
    );
    const ends = { from: world.host, to: peer.address, sport: world.vpn("openvpn"), dport: peer.port };
    script.out(start + 5, udp({ ...ends, payload: bytes(0x20, world.bytes(300)) }));
  }
};

const ipsec: Ordinary = (world, script, count, from, to) => {
  const number = Math.min(Math.ceil(count / 8), world.scale(1, 20));
  for (let s = 0; s < number; s++) {
    const peer = peerOf(world, world.chance(0.5) ? 4500 : world.port());
    const spis = bytes(world.bytes(8), world.bytes(8));
    const auth = (flags: number) => bytes(be32(0), spis, [46, 0x20, 35, flags], be32(1), be32(228), world.bytes(200));
    const [ours, theirs] = [bytes(0xc1, world.bytes(3)), bytes(0xc2, world.bytes(3))];
    const data = (spi: Uint8Array) => (i: number) => bytes(spi, be32(i), world.bytes(world.choose([64, 1360, 104])));
    talk(
      world,
      script,
      peer,
      4500,
      { count: Math.ceil(count / number), from, to },
      (i) => (i === 0 ? auth(8) : data(ours)(i)),
      (i) => (i === 0 ? auth(0x20) : data(theirs)(i)),
    );
  }
};

/** Native ESP, AH or GRE with one or two gateways. */
const gateways: Ordinary = (world, script, count, from, to) => {
  const protocol = world.choose([50, 47, 50, 51, 47, 41]);
  const peers = Array.from({ length: world.int(1, 2) }, () => ({
    ...peerOf(world),
    spi: bytes(0xc0 | world.int(0, 15), world.bytes(3)),
  }));
  const head = (spi: Uint8Array, i: number) => {
    if (protocol === 50) return bytes(spi, be32(i));
    if (protocol === 51) return bytes([4, 4, 0, 0], spi, be32(i), world.bytes(12));
    return protocol === 47 ? bytes([0x30, 1, 0x88, 0x0b, 0, 60], spi.subarray(0, 2), be32(i)) : bytes(0x60);
  };
  evenly(count, from, to, (at, i) => {
    const peer = peers[i % peers.length]!;
    const payload = bytes(head(peer.spi, i), world.bytes(world.choose([60, 1300, 120])));
    if (world.chance(0.55)) script.in(at, ip({ from: peer.address, to: world.host, ttl: peer.ttl }, protocol, payload));
    else script.out(at, ip({ from: world.host, to: peer.address }, protocol, payload));
  });
};

/** Operating systems: first segment's window and options. */
const STACKS = [
  { window: 64240, options: bytes([2, 4, 5, 0xb4, 4, 2, 8, 10], be32(1), be32(0), [1, 3, 3, 7]) },
  { window: 65535, options: bytes([2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10], be32(1), be32(0), [4, 2, 0, 0]) },
  { window: 64240, options: bytes([2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2]) },
  { window: 8192, options: bytes([2, 4, 5, 0xa0, 1, 3, 3, 8, 1, 1, 4, 2]) },
  { window: 65535, options: bytes([2, 4, 5, 0x78, 4, 2, 8, 10], be32(1), be32(0), [1, 3, 3, 9]) },
  { window: 29200, options: bytes([2, 4, 5, 0xb4, 4, 2, 8, 10], be32(1), be32(0), [1, 3, 3, 7]) },
];

/** Connections: opened by clients or by us, with data, to an end. */
const connections =
  (ours: boolean, number: (world: World) => number): Ordinary =>
  (world, script, count, from, to) => {
    const port = world.choose([443, 80, 22, 8443, 993, 8080]);
    const total = Math.max(1, Math.min(Math.floor(count / 5), number(world)));
    for (let s = 0; s < total; s++) {
      const peer = peerOf(world, ours ? world.port() : port);
      const local = ours ? port : world.port();
      const stack = STACKS[world.int(0, STACKS.length - 1)]!;
      const stamps = stack.options.includes(8) ? bytes([1, 1, 8, 10], be32(s), be32(9)) : bytes();
      let [a, b] = [world.int(0, 2 ** 31), world.int(0, 2 ** 31)];
      const start = from + world.random() * (to - from) * 0.6;
      const step = Math.max(0.1, ((to - start) * 0.9) / (count / total + 4));
      let at = start;
      const theirs = (flags: number, size = 0, options = stamps) => {
        at += step * 0.5;
        script.in(
          at,
          tcp({
            from: peer.address,
            to: world.host,
            ttl: peer.ttl,
            sport: peer.port,
            dport: local,
            flags,
            seq: a,
            ack: flags & TCP.ack ? b : 0,
            window: stack.window,
            options,
            payload: world.bytes(size),
          }),
        );
        a += size + (flags & (TCP.syn | TCP.fin) ? 1 : 0);
      };
      const mine = (flags: number, size = 0, options = stamps) => {
        at += step * 0.5;
        script.out(
          at,
          tcp({
            from: world.host,
            to: peer.address,
            sport: local,
            dport: peer.port,
            flags,
            seq: b,
            ack: a,
            options,
            payload: world.bytes(size),
          }),
        );
        b += size + (flags & (TCP.syn | TCP.fin) ? 1 : 0);
      };
      if (ours) {
        theirs(TCP.syn, 0, stack.options);
        mine(TCP.syn | TCP.ack, 0, stack.options);
        theirs(TCP.ack);
      } else {
        mine(TCP.syn, 0, stack.options);
        theirs(TCP.syn | TCP.ack, 0, stack.options);
        mine(TCP.ack);
      }
      const upload = world.chance(0.3);
      for (let i = 0; i < count / total - 5; i++) {
        if (i % 2 === 0) theirs(TCP.ack | TCP.psh, i === 0 || upload ? world.int(100, 1400) : 0);
        else mine(TCP.ack | TCP.psh, upload ? 0 : 1400);
      }
      if (world.chance(0.6)) {
        theirs(TCP.fin | TCP.ack);
        mine(TCP.fin | TCP.ack);
      } else if (world.chance(0.3)) theirs(TCP.rst);
    }
  };

const portScan: Ordinary = (world, script, count, from, to) => {
  const scanner = peerOf(world);
  const overUdp = world.chance(0.25);
  const bare = world.chance(0.7);
  evenly(count, from, to, (at) => {
    const dport = world.int(1, 65_535);
    const ends = { from: scanner.address, to: world.host, ttl: scanner.ttl, sport: scanner.port, dport };
    if (overUdp) script.in(at, udp({ ...ends, payload: world.chance(0.7) ? bytes() : world.bytes(24) }));
    else {
      script.in(
        at,
        tcp({
          ...ends,
          flags: TCP.syn,
          seq: world.int(0, 2 ** 31),
          window: 1024,
          options: bare ? bytes([2, 4, 5, 0xb4]) : bytes(),
        }),
      );
      if (world.chance(0.7))
        script.out(
          at + 0.2,
          tcp({ from: world.host, to: scanner.address, sport: dport, dport: scanner.port, flags: TCP.rst | TCP.ack }),
        );
    }
  });
};

/** Every client's tunnel comes back at once, after the server or its uplink was away. */
export const storm: Ordinary = (world, script, count, from, to) => {
  const over = world.chance(0.6) ? "wireguard" : "openvpn";
  const clients = Math.max(25, Math.floor(count / 3));
  for (let i = 0; i < clients; i++) {
    const peer = peerOf(world);
    const port = world.vpn(over);
    const at = from + world.random() * (to - from);
    const ends = { from: peer.address, to: world.host, ttl: peer.ttl, sport: peer.port, dport: port };
    const back = { from: world.host, to: peer.address, sport: port, dport: peer.port };
    const [theirs, mine] = [world.bytes(8), world.bytes(8)];
    if (over === "wireguard") {
      const initiation = () =>
        bytes(world.sign(bytes([1, 0, 0, 0], world.bytes(4), world.bytes(108))), new Uint8Array(16));
      if (world.chance(0.2)) script.in(at - 5100, udp({ ...ends, payload: initiation() }));
      script.in(at, udp({ ...ends, payload: initiation() }));
      script.out(at + 1, udp({ ...back, payload: bytes([2, 0, 0, 0], mine.subarray(0, 4), world.bytes(84)) }));
      script.in(
        at + 40,
        udp({ ...ends, payload: bytes([4, 0, 0, 0], mine.subarray(0, 4), new Uint8Array(8), world.bytes(16)) }),
      );
    } else {
      script.in(at, udp({ ...ends, payload: bytes(0x38, theirs, new Uint8Array(5)) }));
      script.out(at + 1, udp({ ...back, payload: bytes(0x40, mine, [1, 0, 0, 0, 0], theirs, be32(0)) }));
      script.in(
        at + 30,
        udp({ ...ends, payload: bytes(0x20, theirs, [1, 0, 0, 0, 0], mine, be32(1), world.bytes(200)) }),
      );
      script.out(
        at + 32,
        udp({ ...back, payload: bytes(0x20, mine, [1, 0, 0, 0, 1], theirs, be32(1), world.bytes(900)) }),
      );
    }
  }
};

/** What reaches any public address all day: a packet now and then, from anywhere, to any port. */
const noise: Ordinary = (world, script, count, from, to) => {
  const slow = Math.max(to, from + count * world.int(200, 3000));
  evenly(count, from, slow, (at) => {
    const scanner = peerOf(world);
    const ends = {
      from: scanner.address,
      to: world.host,
      ttl: scanner.ttl,
      sport: scanner.port,
      dport: world.choose([22, 23, 80, 443, 445, 3389, 5060, 8080, 2323, world.int(1, 65535), world.int(1, 65535)]),
    };
    if (world.chance(0.15)) script.in(at, udp({ ...ends, payload: world.bytes(world.int(8, 60)) }));
    else
      script.in(
        at,
        tcp({
          ...ends,
          flags: TCP.syn,
          window: world.choose([1024, 65535, 64240]),
          options: world.chance(0.6) ? bytes() : bytes([2, 4, 5, 0xb4]),
        }),
      );
  });
};

const speedTest: Ordinary = (world, script, count, from, to) => {
  const peer = peerOf(world);
  const size = world.choose([1400, 1448, 1200, 972]);
  const body = world.bytes(size);
  evenly(count, from, Math.min(to, from + count), (at, i) => {
    script.in(
      at,
      udp({
        from: peer.address,
        to: world.host,
        ttl: peer.ttl,
        sport: peer.port,
        dport: 5201,
        payload: bytes(be32(i), be32(Math.round(at)), body),
      }),
    );
  });
};

const ordinaryFragments: Ordinary = (world, script, count, from, to) => {
  const peers = Array.from({ length: world.int(1, 2) }, () => peerOf(world, world.choose([2049, 4789, 5060])));
  evenly(Math.ceil(count / 3), from, to, (at, i) => {
    const peer = peers[i % peers.length]!;
    const ends = { from: peer.address, to: world.host, ttl: peer.ttl, id: i };
    script.in(
      at,
      udp({
        ...ends,
        sport: peer.port,
        dport: peer.port,
        moreFragments: true,
        udpLength: 3000,
        payload: world.bytes(1472),
      }),
    );
    script.in(at + 0.1, ip({ ...ends, fragmentOffset: 1480 }, 17, world.bytes(1480)));
    script.out(
      at + 1,
      udp({ from: world.host, to: peer.address, sport: peer.port, dport: peer.port, payload: world.bytes(60) }),
    );
  });
};

const ping: Ordinary = (world, script, count, from, to) => {
  const monitors = Array.from({ length: world.int(1, 3) }, () => peerOf(world));
  const number = Math.min(count, 60);
  const [request, reply] = world.family === 4 ? [8, 0] : [128, 129];
  evenly(number, from, Math.max(to, from + number * 500), (at, i) => {
    const monitor = monitors[i % monitors.length]!;
    const payload = world.bytes(56);
    script.in(at, icmp({ from: monitor.address, to: world.host, ttl: monitor.ttl, type: request!, payload }));
    script.out(at + 0.1, icmp({ from: world.host, to: monitor.address, type: reply!, payload }));
  });
};

const snmpWalk: Ordinary = (world, script, count, from, to) => {
  const agents = Array.from({ length: world.int(1, 3) }, () => peerOf(world, 161));
  evenly(Math.ceil(count / 2), from, to, (at, i) => {
    const agent = agents[i % agents.length]!;
    const pdu = (tag: number, size: number) =>
      bytes([0x30, 40, 2, 1, 1, 4, 6], "public", [tag, size & 127, 2, 4], be32(i), world.bytes(size));
    script.out(at, udp({ from: world.host, to: agent.address, sport: 40161, dport: 161, payload: pdu(0xa1, 20) }));
    script.in(
      at + 3,
      udp({ from: agent.address, to: world.host, ttl: 64, sport: 161, dport: 40161, payload: pdu(0xa2, 60) }),
    );
  });
};

const syslog: Ordinary = (world, script, count, from, to) => {
  const senders = Array.from({ length: world.int(1, 12) }, () => peerOf(world));
  evenly(count, from, Math.max(to, from + count * 20), (at, i) => {
    const sender = senders[i % senders.length]!;
    const text = `<${world.int(1, 190)}>Jan 02 03:04:05 host app[${i}]: message ${world.int(0, 1e6)}`;
    script.in(
      at,
      udp({
        from: sender.address,
        to: world.host,
        ttl: sender.ttl,
        sport: sender.port,
        dport: 514,
        payload: bytes(text),
      }),
    );
  });
};

/** Ordinary traffic by name. */
export const ordinary: Record<string, Ordinary> = {
  dnsClient,
  dnsServer,
  ntpServer,
  ntpClient,
  quicServer: quic(true),
  quicClient: quic(false),
  gameServer: game(true),
  gameClient: game(false),
  rtp,
  torrent,
  tunnelServer: unknownTunnel(true),
  tunnelClient: unknownTunnel(false),
  wireguardServer: wireguard(true),
  wireguardClient: wireguard(false),
  openvpn,
  ipsec,
  gateways,
  webServer: connections(true, (world) => world.scale(3, 60)),
  webClient: connections(false, (world) => world.scale(2, 20)),
  flashCrowd: connections(true, () => 10_000),
  portScan,
  noise,
  speedTest,
  ordinaryFragments,
  ping,
  snmpWalk,
  syslog,
};
