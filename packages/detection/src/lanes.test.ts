import type { VpnPort } from "@flowtriq/protocol/lane";
import { expect, test } from "vitest";
import { corpus } from "../test/corpora.ts";
import { be16, be32, bytes, icmp, ip, tcp, udp } from "../test/craft.ts";
import { LEARNED_SETS, LearnedState, laneOf } from "./lanes.ts";
import { LINK, type Packet, parseAddress, readPacket, TCP } from "./packet.ts";
import { readPcap } from "./pcap.ts";
import { udpPayloadLength, word } from "./shapes.ts";

const port = (number: number, protocol: VpnPort["protocol"], transport: VpnPort["transport"] = "udp"): VpnPort => ({
  port: number,
  transport,
  protocol,
  strictness: "auto",
});
const ports = [
  port(51820, "wireguard"),
  port(1194, "openvpn"),
  port(500, "ike"),
  port(4500, "ipsec_nat_t"),
  port(443, "openvpn", "tcp"),
  port(1701, "l2tp"),
];
const families = [
  ["IPv4", parseAddress("198.51.100.7")!, parseAddress("203.0.113.9")!],
  ["IPv6", parseAddress("2001:db8::7")!, parseAddress("2001:db8:1::9")!],
] as const;
const [, peer, host] = families[0];

const read = (packet: Uint8Array): Packet => readPacket(packet, LINK.raw)!;
const to = (dport: number, payload: Uint8Array, { from = peer, sport = 40000 } = {}) =>
  read(udp({ from, to: typeof from === "number" ? host : families[1][2], sport, dport, payload }));
const answer = (sport: number, payload: Uint8Array, { dport = 40000, destination = peer } = {}) =>
  read(udp({ from: typeof destination === "number" ? host : families[1][2], to: destination, sport, dport, payload }));
const fill = (length: number, ...start: number[]) => bytes(start, new Uint8Array(Math.max(0, length - start.length)));
const fresh = () => ({ ports, learned: new LearnedState(ports) });

const index = [0x11, 0x22, 0x33, 0x44];
const sid = [1, 2, 3, 4, 5, 6, 7, 8];
const ike = (exchange: number, { version = 0x20, flags = 8, responder = 0, length = 60, says = 60, next = 33 } = {}) =>
  fill(length, ...sid, 0, 0, 0, 0, 0, 0, 0, responder, next, version, exchange, flags, 0, 0, 0, 0, ...be32(says));
const marker = (message: Uint8Array) => bytes([0, 0, 0, 0], message);

test.each<[string, number, Uint8Array, string]>([
  ["WireGuard initiation", 51820, fill(148, 1, 0, 0, 0, ...index), "handshake"],
  ["WireGuard initiation one octet short", 51820, fill(147, 1), "malformed"],
  ["WireGuard initiation with a reserved bit", 51820, fill(148, 1, 0, 1), "malformed"],
  ["WireGuard response to nobody", 51820, fill(92, 2), "malformed"],
  ["WireGuard cookie reply to nobody", 51820, fill(64, 3), "malformed"],
  ["WireGuard data of full size, not a multiple of 16", 51820, fill(1452, 4, 0, 0, 0, ...index), "unissued"],
  ["WireGuard keepalive", 51820, fill(32, 4, 0, 0, 0, ...index), "unissued"],
  ["WireGuard data without room for a tag", 51820, fill(31, 4), "malformed"],
  ["nothing at all", 51820, bytes(), "malformed"],
  ["OpenVPN client reset", 1194, fill(14, 0x38, ...sid), "handshake"],
  ["OpenVPN client reset without session", 1194, fill(14, 0x38), "malformed"],
  ["OpenVPN client reset with a key id", 1194, fill(14, 0x39, ...sid), "malformed"],
  ["OpenVPN reset V3 with a wrapped key", 1194, fill(353, 0x50, ...sid), "handshake"],
  ["OpenVPN client reset that is too short", 1194, fill(13, 0x38, ...sid), "malformed"],
  ["OpenVPN client reset of a length that no authentication gives", 1194, fill(60, 0x38, ...sid), "malformed"],
  ["OpenVPN reset V3 with a packet id that is not the first", 1194, fill(353, 0x50, ...sid, 0, 0, 7), "malformed"],
  ["OpenVPN control with a wrapped key", 1194, fill(642, 0x58, ...sid), "control"],
  ["OpenVPN control", 1194, fill(100, 0x20, ...sid), "control"],
  ["OpenVPN acknowledgement", 1194, fill(22, 0x28, ...sid), "control"],
  ["OpenVPN control of a later key", 1194, fill(100, 0x21, ...sid), "malformed"],
  ["OpenVPN data V2", 1194, fill(90, 0x48, 0, 0, 1), "unissued"],
  ["OpenVPN data V1", 1194, fill(21, 0x30), "unissued"],
  ["OpenVPN server reset", 1194, fill(26, 0x40, ...sid), "malformed"],
  ["OpenVPN opcode 31", 1194, fill(100, 0xf8, ...sid), "malformed"],
  ["IKE_SA_INIT", 500, ike(34), "handshake"],
  ["IKE_SA_INIT answer", 500, ike(34, { responder: 9, flags: 0x20 }), "control"],
  ["IKE cookie, which has no responder SPI yet", 500, ike(34, { flags: 0x20 }), "control"],
  ["IKE session resumption", 500, ike(38), "control"],
  ["IKE_AUTH", 500, ike(35, { responder: 9 }), "control"],
  ["IKEv1 main mode", 500, ike(2, { version: 0x10, flags: 0 }), "handshake"],
  ["IKEv1 quick mode", 500, ike(32, { version: 0x10, flags: 1, responder: 9 }), "control"],
  ["IKE that claims to be huge", 500, ike(34, { says: 65596 }), "malformed"],
  ["IKE without an initiator SPI", 500, ike(34).fill(0, 0, 8), "malformed"],
  ["IKE with an unknown exchange", 500, ike(99), "malformed"],
  ["IKE version 3", 500, ike(34, { version: 0x30 }), "malformed"],
  ["IKE behind the marker", 4500, marker(ike(35, { responder: 9 })), "control"],
  ["NAT keepalive", 4500, bytes(0xff), "control"],
  ["another single octet", 4500, bytes(0xfe), "malformed"],
  ["ESP in UDP", 4500, fill(100, 0xc0, 0, 0, 1), "unissued"],
  ["ESP in UDP with a reserved SPI", 4500, fill(100, 0, 0, 0, 255), "malformed"],
  ["ESP in UDP that is too short", 4500, fill(15, 0xc0, 0, 0, 1), "malformed"],
  ["L2TP", 1701, fill(12, 0xc8, 2), "handshake"],
  ["what is no L2TP", 1701, fill(12, 0x33), "malformed"],
])("%s from a stranger (port %i)", (_, dport, payload, cls) => {
  for (const [, from] of families) {
    expect(laneOf(to(dport, payload, { from }), fresh())).toBe(`udp:${dport}:${cls}`);
  }
});

test("an initiation of a known peer is still counted as a handshake", () => {
  const context = fresh();
  context.learned.learn(answer(51820, fill(92, 2, 0, 0, 0, ...index)), 0);
  expect(laneOf(to(51820, fill(148, 1)), context)).toBe("udp:51820:handshake");
});

test("a WireGuard client that roams keeps its lane by the index that we issued", () => {
  const context = fresh();
  context.learned.learn(answer(51820, fill(92, 2, 0, 0, 0, ...index)), 0);
  const elsewhere = { from: parseAddress("192.0.2.77")!, sport: 9 };
  expect(laneOf(to(51820, fill(64, 4, 0, 0, 0, ...index), elsewhere), context)).toBe("udp:51820:data");
  expect(laneOf(to(51820, fill(64, 4, 0, 0, 0, 0x11, 0x22, 0x33, 0x45), elsewhere), context)).toBe(
    "udp:51820:unissued",
  );
  expect(laneOf(to(51820, fill(92, 2, 0, 0, 0, 9, 9, 9, 9, ...index), elsewhere), context)).toBe("udp:51820:control");
  expect(laneOf(to(51820, fill(64, 3, 0, 0, 0, ...index), elsewhere), context)).toBe("udp:51820:control");
  expect(laneOf(to(51820, fill(92, 2, 0, 0, 0, ...index), elsewhere), context)).toBe("udp:51820:malformed");
});

test("a WireGuard client that is older than the agent keeps its lane when it roams, once it has been heard as a peer", () => {
  const context = fresh();
  const data = fill(64, 4, 0, 0, 0, ...index);
  const elsewhere = { from: parseAddress("192.0.2.77")! };
  expect(laneOf(to(51820, data, elsewhere), context)).toBe("udp:51820:unissued");
  context.learned.learn(answer(51820, fill(64, 4, 0, 0, 0, 9, 9, 9, 9)), 0);
  expect(laneOf(to(51820, data), context)).toBe("udp:51820:data");
  expect(laneOf(to(51820, data, elsewhere), context)).toBe("udp:51820:data");
});

test.each<[string, number, Uint8Array, Uint8Array]>([
  ["OpenVPN control", 1194, fill(60, 0x20, ...sid), fill(60, 0x48, 0, 0, 1)],
  ["OpenVPN data, whatever comes back", 1194, fill(60, 0x48), fill(60, 0xf8)],
  ["L2TP", 1701, fill(12), fill(12)],
])("our own %s proves a peer: what it sends is data, and a neighbour's is not", (_, number, ours, theirs) => {
  for (const [, address] of families) {
    const context = fresh();
    context.learned.learn(answer(number, ours, { destination: address }), 0);
    expect(laneOf(to(number, theirs, { from: address }), context)).toBe(`udp:${number}:data`);
    expect(laneOf(to(number, theirs, { from: address, sport: 40001 }), context)).not.toBe(`udp:${number}:data`);
  }
});

test.each([
  ["IKEv1 notification in the clear", ike(5, { version: 0x10, flags: 0 })],
  ["IKEv2 informational in the clear", ike(37, { responder: 9, flags: 0x20, next: 41 })],
])("an %s, which a server sends to anybody, proves nobody", (_, ours) => {
  const context = fresh();
  context.learned.learn(answer(500, ours, { destination: peer }), 0);
  expect(laneOf(to(500, fill(60)), context)).toBe("udp:500:malformed");
});

test.each<[string, number, Uint8Array]>([
  ["IKE_AUTH", 500, ike(35, { responder: 9, flags: 0x20, next: 46 })],
  ["IKEv1 quick mode", 500, ike(32, { responder: 9, version: 0x10, flags: 1 })],
  ["IKE_AUTH on 4500", 4500, marker(ike(35, { responder: 9, flags: 0x20, next: 46 }))],
  ["ESP in UDP", 4500, fill(100, 0xc0, 0, 0, 1)],
])("our own %s proves an IPsec peer by its address, on 500, on 4500 and for native ESP", (_, number, ours) => {
  for (const [, address, local] of families) {
    const context = fresh();
    const esp = read(ip({ from: address, to: local }, 50, fill(32)));
    const auth = ike(37, { responder: 9 });
    expect(laneOf(esp, context)).toBe("host:esp");
    context.learned.learn(answer(number, ours, { destination: address }), 0);
    expect(laneOf(to(500, auth, { from: address, sport: 9 }), context)).toBe("udp:500:data");
    expect(laneOf(to(4500, fill(100, 0xc0), { from: address, sport: 9 }), context)).toBe("udp:4500:data");
    expect(laneOf(esp, context)).toBeUndefined();
    expect(laneOf(to(500, auth, { from: parseAddress("192.0.2.1")! }), context)).toBe("udp:500:control");
  }
});

test.each<[string, number, Uint8Array, Uint8Array]>([
  ["a WireGuard cookie reply", 51820, fill(64, 3), fill(80, 4)],
  ["an OpenVPN acknowledgement", 1194, fill(22, 0x28, ...sid), fill(60, 0x48, 0, 0, 1)],
  ["an OpenVPN server reset", 1194, fill(26, 0x40, ...sid), fill(60, 0x48, 0, 0, 1)],
  ["an answer to IKE_SA_INIT", 500, ike(34, { responder: 9, flags: 0x20 }), ike(35, { responder: 9 })],
  [
    "an answer to IKEv1 main mode",
    500,
    ike(2, { version: 0x10, responder: 9 }),
    ike(32, { version: 0x10, responder: 9 }),
  ],
  ["a NAT keepalive of ours", 4500, bytes(0xff), fill(100, 0xc0, 0, 0, 1)],
])("%s proves nothing, since anybody gets one", (_, number, ours, theirs) => {
  const context = fresh();
  context.learned.learn(answer(number, ours), 0);
  expect(laneOf(to(number, theirs), context)).not.toBe(`udp:${number}:data`);
});

test("on a lenient port the three octets after a WireGuard type may hold anything", () => {
  const lenient = [{ ...port(51820, "wireguard"), strictness: "lenient" as const }];
  const context = { ports: lenient, learned: new LearnedState(lenient) };
  expect(laneOf(to(51820, fill(148, 1, 7, 8, 9)), context)).toBe("udp:51820:handshake");
  expect(laneOf(to(51820, fill(148, 4, 7, 8, 9)), context)).toBe("udp:51820:unissued");
  expect(laneOf(to(51820, fill(148, 5, 7, 8, 9)), context)).toBe("udp:51820:malformed");
  expect(laneOf(to(51820, fill(148, 1, 7, 8, 9)), fresh())).toBe("udp:51820:malformed");
});

const segment = (flags: number, { dport = 9, sport = 80 } = {}) =>
  read(tcp({ from: peer, to: host, sport, dport, flags }));

test.each<[string, Packet, string]>([
  ["SYN", segment(TCP.syn), "host:syn"],
  ["SYN to a VPN port", segment(TCP.syn, { dport: 443 }), "host:syn"],
  ["data to a VPN port", segment(TCP.ack, { dport: 443 }), "tcp:443:unissued"],
  ["unasked SYN-ACK", segment(TCP.syn | TCP.ack), "host:synack"],
  ["SYN with FIN", segment(TCP.syn | TCP.fin), "host:tcp"],
  ["unasked SYN-ACK to a VPN port", segment(TCP.syn | TCP.ack, { dport: 443 }), "host:synack"],
  ["RST to a VPN port", segment(TCP.rst, { dport: 443 }), "tcp:443:unissued"],
  [
    "first fragment of a segment",
    read(tcp({ from: peer, to: host, sport: 1, dport: 443, flags: TCP.ack, moreFragments: true })),
    "host:fragment",
  ],
  ["RST", segment(TCP.rst | TCP.ack), "host:rst"],
  ["ACK", segment(TCP.ack), "host:tcp"],
  ["no flags at all", segment(0), "host:tcp"],
  ["ICMP", read(icmp({ from: peer, to: host, type: 8, payload: bytes() })), "host:icmp"],
  ["ICMPv6", read(icmp({ from: families[1][1], to: families[1][2], type: 128, payload: bytes() })), "host:icmp"],
  ["GRE", read(ip({ from: peer, to: host }, 47, fill(8))), "host:gre"],
  ["ESP", read(ip({ from: peer, to: host }, 50, fill(32))), "host:esp"],
  ["AH over IPv6", read(ip({ from: families[1][1], to: families[1][2] }, 51, fill(32))), "host:ah"],
  ["6in4", read(ip({ from: peer, to: host }, 41, fill(40))), "host:protocol"],
  ["UDP", to(9, bytes("x")), "host:udp"],
  ["UDP from a reflector", to(9, bytes("x"), { sport: 53 }), "host:reflected"],
  ["UDP from a reflector's port to a VPN port", to(51820, bytes("x"), { sport: 53 }), "udp:51820:malformed"],
  ["UDP cut before its ports", read(ip({ from: peer, to: host }, 17, fill(4))), "host:udp"],
  ["later fragment", read(ip({ from: peer, to: host, fragmentOffset: 8 }, 17, fill(8))), "host:fragment"],
  [
    "first fragment",
    read(udp({ from: peer, to: host, sport: 53, dport: 9, moreFragments: true, payload: fill(64) })),
    "host:fragment",
  ],
  [
    "first fragment of a long IKE_AUTH",
    read(
      udp({
        from: peer,
        to: host,
        sport: 500,
        dport: 500,
        moreFragments: true,
        udpLength: 2008,
        payload: ike(35, { responder: 9, length: 1472, says: 2000 }),
      }),
    ),
    "udp:500:control",
  ],
])("%s is counted where the kernel counts it", (_, packet, lane) => {
  expect(laneOf(packet, fresh())).toBe(lane);
});

test("what we asked for is not reflected, until the time for an answer is over", () => {
  const context = fresh();
  context.learned.learn(read(udp({ from: host, to: peer, sport: 9, dport: 53, payload: bytes("?") })), 1000);
  const reply = to(9, bytes("!"), { sport: 53 });
  expect(laneOf(reply, context)).toBe("host:udp");
  expect(laneOf(to(9, bytes("!"), { sport: 53, from: parseAddress("192.0.2.1")! }), context)).toBe("host:reflected");
  context.learned.advance(1000 + LEARNED_SETS.asked.seconds * 1000);
  expect(laneOf(reply, context)).toBe("host:reflected");
});

test("a SYN-ACK that answers our SYN is ordinary TCP", () => {
  const context = fresh();
  context.learned.learn(read(tcp({ from: host, to: peer, sport: 9, dport: 80, flags: TCP.syn })), 0);
  expect(laneOf(segment(TCP.syn | TCP.ack), context)).toBe("host:tcp");
});

test("native ESP of ours is remembered by address and protocol", () => {
  const { learned } = fresh();
  learned.learn(read(ip({ from: host, to: peer }, 50, fill(32))), 0);
  expect(learned.protocolPeer(peer, 50)).toBe(true);
  expect(learned.protocolPeer(peer, 47)).toBe(false);
});

test("an issued index ends with its session, and time never runs backwards", () => {
  const { learned } = fresh();
  learned.learn(answer(51820, fill(92, 2, 0, 0, 0, ...index)), 10_000);
  learned.advance(0);
  expect(learned.isIssued(0x11223344)).toBe(true);
  learned.advance(10_000 + LEARNED_SETS.issued.seconds * 1000);
  expect(learned.isIssued(0x11223344)).toBe(false);
});

test("a full set keeps its live entries and takes new ones only in place of the expired", () => {
  const { learned } = fresh();
  const response = (i: number) => answer(51820, fill(92, 2, 0, 0, 0, ...be16(i >>> 16), ...be16(i)), { dport: 1 });
  for (let i = 0; i < LEARNED_SETS.issued.size; i++) learned.learn(response(i), i === 0 ? 0 : 1000);
  learned.learn(response(99_999), 2000);
  expect([learned.isIssued(0), learned.isIssued(5), learned.isIssued(99_999)]).toEqual([true, true, false]);
  const end = LEARNED_SETS.issued.seconds * 1000;
  learned.learn(response(99_999), end);
  expect([learned.isIssued(0), learned.isIssued(5), learned.isIssued(99_999)]).toEqual([false, true, true]);
});

/** VPN captures of the corpus: the server's port, and how its own side's packets are known. */
const captures: [name: string, vpn: VpnPort[]][] = [
  ["wireguard-bulk--lekensteyn", [port(51820, "wireguard")]],
  ["wireguard--ndpi-2019", [port(51820, "wireguard")]],
  ["openvpn-udp-tlsauth-sha1--corelight", [port(1194, "openvpn")]],
  ["openvpn-udp-nohmac--ndpi", [port(1194, "openvpn")]],
  ["openvpn-udp-tlscryptv2--ndpi", [port(1194, "openvpn")]],
  ["openvpn-udp137-4--hqw", [port(137, "openvpn")]],
  ["ikev2-four--tcpdump", [port(500, "ike")]],
  ["ikev1-certs--corelight", [port(500, "ike")]],
  ["ikev1-aggressive--corelight", [port(500, "ike")]],
  ["ikev2--joy", [port(500, "ike")]],
  ["ikev2-natt--scapy", [port(4500, "ipsec_nat_t")]],
  ["ikev1-natt--tcpdump", [port(500, "ike"), port(4500, "ipsec_nat_t")]],
  ["espudp--tcpdump", [port(4500, "ipsec_nat_t")]],
];

// Skipped where the folder of real captures is absent.
test.runIf(corpus("legit").length > 0).each(captures)(
  "no packet that a real client sent is malformed: %s",
  (name, vpn) => {
    const file = corpus("legit")
      .find((candidate) => candidate.name === name)!
      .file();
    const learned = new LearnedState(vpn);
    const wrong: string[] = [];
    let seen = 0;
    for (const record of readPcap(file)) {
      const packet = readPacket(record.bytes, record.linkType, record.wireLength);
      if (packet?.protocol !== 17 || !packet.transport) continue;
      if (vpn.some((declared) => declared.port === packet.sourcePort)) learned.learn(packet, record.at);
      if (!vpn.some((declared) => declared.port === packet.destinationPort)) continue;
      // Both ends use 500 and 4500, and 137 carries the LAN's own NetBIOS: only what could be for the server is judged.
      if (vpn[0]!.port === 137 && packet.sourcePort === 137) continue;
      learned.advance(record.at);
      const lane = laneOf(packet, { ports: vpn, learned });
      seen++;
      if (lane?.endsWith("malformed"))
        wrong.push(`${udpPayloadLength(packet)}: ${word(packet.payload, 0).toString(16)}`);
    }
    expect(seen).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
  },
);
