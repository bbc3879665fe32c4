import fc from "fast-check";
import { expect, test } from "vitest";
import { corpus } from "../test/corpora.ts";
import { bytes, ethernet, icmp, ip, tcp, udp } from "../test/craft.ts";
import { addressText, LINK, PROTOCOL, parseAddress, prefixOf, readPacket } from "./packet.ts";
import { readPcap } from "./pcap.ts";

const v4 = { from: parseAddress("198.51.100.7")!, to: parseAddress("203.0.113.9")! };
const v6 = { from: parseAddress("2001:db8::7")!, to: parseAddress("2001:db8:1::9")! };

test.each([
  ["IPv4", v4, 4],
  ["IPv6", v6, 6],
])("the fields of a UDP datagram over %s are read", (_, pair, family) => {
  const packet = readPacket(udp({ ...pair, ttl: 57, sport: 53, dport: 51820, payload: bytes("hello") }), LINK.raw)!;
  expect(packet).toMatchObject({
    family,
    source: pair.from,
    destination: pair.to,
    ttl: 57,
    protocol: PROTOCOL.udp,
    transport: true,
    sourcePort: 53,
    destinationPort: 51820,
    udpLength: 13,
    payloadLength: 5,
    wireLength: (family === 4 ? 20 : 40) + 13,
  });
  expect(new TextDecoder().decode(packet.payload)).toBe("hello");
});

test("TCP options are not payload", () => {
  const options = bytes([2, 4, 5, 0xb4, 1, 3, 3, 7]);
  const packet = readPacket(
    tcp({ ...v4, sport: 80, dport: 4, flags: 0x12, seq: 0xfffffffe, ack: 7, window: 9, options, payload: bytes("xy") }),
    LINK.raw,
  )!;
  expect(packet).toMatchObject({
    tcpFlags: 0x12,
    tcpSequence: 0xfffffffe,
    tcpAcknowledgement: 7,
    tcpWindow: 9,
    tcpHeaderLength: 28,
    payloadLength: 2,
  });
});

test("an ICMP error gives its type, code and what it quotes", () => {
  const quoted = udp({ ...v4, sport: 1, dport: 2, payload: bytes() });
  const packet = readPacket(icmp({ ...v4, type: 3, code: 4, payload: quoted }), LINK.raw)!;
  expect(packet).toMatchObject({ icmpType: 3, icmpCode: 4, payloadLength: 28 });
  expect(packet.payload).toEqual(quoted);
});

test("a sample of 128 octets keeps the lengths of the wire", () => {
  const whole = udp({ ...v4, sport: 53, dport: 9, payload: new Uint8Array(1400) });
  const packet = readPacket(whole.subarray(0, 128), LINK.raw)!;
  expect(packet).toMatchObject({ wireLength: 1428, udpLength: 1408, payloadLength: 1400 });
  expect(packet.payload.length).toBe(100);
});

test.each([
  ["IPv4", v4],
  ["IPv6", v6],
])("a later fragment over %s has an offset and no ports", (_, pair) => {
  const packet = readPacket(ip({ ...pair, fragmentOffset: 1480 }, PROTOCOL.udp, new Uint8Array(64)), LINK.raw)!;
  expect(packet).toMatchObject({ protocol: 17, fragmentOffset: 1480, moreFragments: false, transport: false });
  expect(packet.payloadLength).toBe(64);
  const first = readPacket(
    udp({ ...pair, moreFragments: true, udpLength: 3000, sport: 53, dport: 9, payload: new Uint8Array(1472) }),
    LINK.raw,
  )!;
  expect(first).toMatchObject({ fragmentOffset: 0, moreFragments: true, transport: true, udpLength: 3000 });
});

test("IPv6 extension headers are walked to the transport header, but not past an authentication header", () => {
  const datagram = udp({ ...v6, sport: 1, dport: 2, payload: bytes("z") }).subarray(40);
  const hopByHop = [60, 0, 1, 4, 0, 0, 0, 0];
  const destination = (next: number) => [next, 1, ...new Uint8Array(14)];
  const walked = readPacket(ip(v6, 0, bytes(hopByHop, destination(17), datagram)), LINK.raw)!;
  expect(walked).toMatchObject({ protocol: 17, sourcePort: 1, destinationPort: 2, payloadLength: 1 });
  const authenticated = readPacket(ip(v6, 0, bytes(hopByHop, destination(51), datagram)), LINK.raw)!;
  expect(authenticated).toMatchObject({ protocol: 51, transport: false });
});

test("a chain of extension headers without end is left after a bound", () => {
  const chain = new Uint8Array(8 * 200);
  for (let at = 0; at < chain.length; at += 8) chain[at] = 60;
  expect(readPacket(ip(v6, 60, chain), LINK.raw)).toMatchObject({ protocol: 60, transport: false });
});

const datagram = udp({ ...v4, sport: 1, dport: 2, payload: bytes("q") });
const cooked1 = bytes(new Uint8Array(14), [0x08, 0x00], datagram);
const cooked2 = bytes([0x08, 0x00], new Uint8Array(18), datagram);
const pppoe = bytes(new Uint8Array(12), [0x88, 0x64, 0x11, 0, 0, 1, 0, 31, 0x00, 0x21], datagram);
const nflog = bytes([2, 0, 0, 5], [6, 0, 10, 0, 120, 0, 0, 0], [4 + datagram.length, 0, 9, 0], datagram);
test.each([
  ["Ethernet", LINK.ethernet, ethernet(datagram)],
  ["Ethernet with a VLAN tag", LINK.ethernet, ethernet(datagram, [7])],
  ["Ethernet with two VLAN tags", LINK.ethernet, ethernet(datagram, [7, 8])],
  ["PPPoE", LINK.ethernet, pppoe],
  ["raw IP", LINK.raw, datagram],
  ["raw IPv4", LINK.ipv4, datagram],
  ["loopback", LINK.null, bytes([2, 0, 0, 0], datagram)],
  ["cooked capture", LINK.linuxCooked, cooked1],
  ["cooked capture, second version", LINK.linuxCooked2, cooked2],
  ["NFLOG", LINK.nflog, nflog],
])("%s is read", (_, linkType, frame) => {
  expect(readPacket(frame, linkType)).toMatchObject({ sourcePort: 1, destinationPort: 2, payloadLength: 1 });
});

test("frames that are not IP, and unknown link types, give nothing", () => {
  expect(readPacket(bytes(new Uint8Array(12), [0x08, 0x06], new Uint8Array(28)), LINK.ethernet)).toBeUndefined();
  expect(readPacket(datagram, 9999)).toBeUndefined();
  expect(readPacket(bytes(), LINK.raw)).toBeUndefined();
  expect(readPacket(datagram.subarray(0, 19), LINK.raw)).toBeUndefined();
});

test("a padded Ethernet frame has the payload that its header says", () => {
  const packet = readPacket(bytes(ethernet(datagram), new Uint8Array(20)), LINK.ethernet)!;
  expect(packet.payload.length).toBe(1);
});

test.each([
  "0.0.0.0",
  "255.255.255.255",
  "192.0.2.1",
  "::",
  "::1",
  "2001:db8::1",
  "fe80::1:0:0:2",
  "1:2:3:4:5:6:7:8",
  "2001:db8:0:1::",
])("%s survives reading and printing", (text) => {
  expect(addressText(parseAddress(text)!)).toBe(text);
});

test.each([
  "",
  "1.2.3",
  "1.2.3.256",
  "1.2.3.4.5",
  ":::",
  "1::2::3",
  "12345::",
  "g::",
  "1:2:3:4:5:6:7",
  "::1:2:3:4:5:6:7:8",
])("%j is no address", (text) => expect(parseAddress(text)).toBeUndefined());

test("an IPv4 tail in an IPv6 address is read, and prefixes are /24 and /48", () => {
  expect(parseAddress("::ffff:192.0.2.1")).toBe(parseAddress("::ffff:c000:201"));
  expect(prefixOf(parseAddress("192.0.2.200")!)).toBe(parseAddress("192.0.2.0"));
  expect(prefixOf(parseAddress("2001:db8:1:2::3")!)).toBe(prefixOf(parseAddress("2001:db8:1::9")!));
});

const linkTypes = fc.oneof(fc.constantFrom(...Object.values(LINK)), fc.nat(300));

test("no bytes whatever make the reader throw or look past their end", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      linkTypes,
      fc.constantFrom(0, 0x45, 0x60, 0x4f),
      (data, link, first) => {
        if (first && data.length > 0) data[0] = first;
        const packet = readPacket(data, link);
        if (packet) {
          expect(packet.payload.length).toBeLessThanOrEqual(data.length);
          expect(packet.payloadLength).toBeGreaterThanOrEqual(0);
          for (const value of Object.values(packet)) expect(value).not.toBeNaN();
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test("a packet cut anywhere is read as far as it goes, or not at all", () => {
  const whole = [
    udp({ ...v4, sport: 1, dport: 2, payload: bytes("abcdef") }),
    tcp({ ...v6, sport: 1, dport: 2, flags: 2, options: bytes([2, 4, 5, 6]) }),
    ip({ ...v6, moreFragments: true }, 17, bytes([0, 1, 0, 2, 0, 20, 0, 0], new Uint8Array(12))),
    icmp({ ...v4, type: 8, payload: bytes("ping") }),
  ];
  for (const packet of whole) {
    for (let length = 0; length < packet.length; length++) {
      const read = readPacket(packet.subarray(0, length), LINK.raw);
      if (length >= (packet[0]! >> 4 === 4 ? 20 : 40)) expect(read?.wireLength).toBe(packet.length);
      else expect(read).toBeUndefined();
    }
  }
});

// Skipped where the folder of real captures is absent.
test.runIf(corpus("legit").length > 0)("every packet of the corpus survives being cut at any length", () => {
  let packets = 0;
  for (const { file } of [...corpus("legit"), ...corpus("attacks")]) {
    let inFile = 0;
    for (const record of readPcap(file())) {
      if (inFile++ > 200) break;
      for (let length = 0; length <= Math.min(100, record.bytes.length); length++) {
        readPacket(record.bytes.subarray(0, length), record.linkType, record.wireLength);
      }
      if (readPacket(record.bytes, record.linkType)) packets++;
    }
  }
  expect(packets).toBeGreaterThan(5000);
});
