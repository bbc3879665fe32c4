import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { blake2s } from "@noble/hashes/blake2.js";
import { describe, expect, test } from "vitest";
import { ATTACK_NAMES, type AttackName } from "../src/attacks.ts";
import { FAMILIES, type Family } from "../src/namespaces.ts";
import { addressBytes } from "../src/packet.ts";
import { type AttackCapture, attackFrames, toPcap } from "../src/pcap.ts";
import { ORDERED_PACKETS } from "../src/ring.ts";

// 00 01 .. 1f, whose mac1 key is known from an independent implementation.
const serverPublicKey = Buffer.from(Uint8Array.from({ length: 32 }, (_, index) => index)).toString("base64");
const MAC1_KEY = Buffer.from("4fb2527ac956001553dc1ad9b55171b7d9daa3de1cdbcd71451830170c7e6cac", "hex");

const ETHERNET = 14;
const all = ATTACK_NAMES.flatMap((attack) => FAMILIES.map((family) => [attack, family] as const));

/** IP packets as they are sent, each renewed at least once. */
function packets(attack: AttackName, family: Family, options: Partial<AttackCapture> = {}): Buffer[] {
  const frames = attackFrames({ attack, family, packets: 300, pps: 1000, serverPublicKey, ...options });
  return [...frames].map(({ bytes }) => Buffer.from(bytes.subarray(ETHERNET)));
}

const header = (family: Family) => (family === 4 ? 20 : 40);
const udpPayload = (packet: Buffer, family: Family) => packet.subarray(header(family) + 8);

/** RFC 1071 the plain way: all words added, which makes 0xffff if the checksum among them is right. */
function folded(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += part[i]! * 256 + (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum % 65_536) + Math.floor(sum / 65_536);
  return sum;
}

describe.each(all)("%s over IPv%d", (attack, family) => {
  test("has right lengths and right checksums, after its fields were changed too", () => {
    for (const packet of packets(attack, family)) {
      const protocol = family === 4 ? packet[9]! : packet[6]!;
      if (family === 4) expect(folded(packet.subarray(0, 20))).toBe(0xffff);
      expect(family === 4 ? packet.readUInt16BE(2) : packet.readUInt16BE(4) + 40).toBe(packet.length);
      expect(packet.length).toBeLessThanOrEqual(1500);
      const segment = packet.subarray(header(family));
      const addresses = family === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
      const pseudo = Uint8Array.of(0, protocol, segment.length >> 8, segment.length & 255);
      if (attack === "udp_fragment") continue;
      if (protocol === 17) {
        expect(segment.readUInt16BE(4)).toBe(segment.length);
        expect(segment.readUInt16BE(6)).not.toBe(0);
      }
      if (protocol === 17 || protocol === 6 || protocol === 58) expect(folded(addresses, pseudo, segment)).toBe(0xffff);
      if (protocol === 1) expect(folded(segment)).toBe(0xffff);
    }
  });

  test("is the same for the same seed and another for another", () => {
    const [first, again, other] = [1, 1, 2].map((seed) => packets(attack, family, { seed, packets: 40 }));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test("never sends one packet twice, nor from an address that no one outside can have", () => {
    const seen = packets(attack, family);
    expect(new Set(seen.map((packet) => packet.toString("latin1"))).size).toBe(seen.length);
    for (const packet of seen) {
      if (family === 6) expect(packet[8]! >> 5).toBe(1);
      else expect([0, 10, 127]).not.toContain(packet[12]);
      if (family === 4) expect(packet[12]).toBeLessThan(224);
    }
  });
});

test.each(FAMILIES)("tcpdump, which knows the protocols, finds no fault in any of them over IPv%d", async (family) => {
  const directory = mkdtempSync(join(tmpdir(), "lab-attacks-"));
  try {
    for (const attack of ATTACK_NAMES) {
      const file = join(directory, `${attack}.pcap`);
      writeFileSync(file, toPcap(attackFrames({ attack, family, packets: 30, pps: 1000, serverPublicKey })));
      const { stdout } = await promisify(execFile)("tcpdump", ["-nn", "-vv", "-r", file]);
      const records = stdout.split("\n").filter((line) => /^\d\d:\d\d:\d\d\.\d{6} IP/.test(line));
      expect(records, attack).toHaveLength(30);
      expect(
        stdout.split("\n").filter((line) => /bad (udp )?cksum|incorrect|wrong icmp6? cksum/.test(line)),
        attack,
      ).toEqual([]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe.each(FAMILIES)("over IPv%d", (family) => {
  test("WireGuard messages have the published types and lengths", () => {
    for (const packet of packets("wireguard_data", family)) {
      const message = udpPayload(packet, family);
      expect(message.readUInt32LE(0)).toBe(4);
      expect(message.length).toBeGreaterThanOrEqual(32);
    }
    for (const attack of ["wireguard_initiation", "wireguard_initiation_valid_mac1"] as const) {
      for (const packet of packets(attack, family)) {
        const message = udpPayload(packet, family);
        expect(message.readUInt32LE(0)).toBe(1);
        expect(message).toHaveLength(148);
      }
    }
  });

  test("mac1 is right where it says so, and wrong where it does not", () => {
    const isValid = (packet: Buffer) => {
      const message = udpPayload(packet, family);
      const mac = blake2s(message.subarray(0, 116), { key: MAC1_KEY, dkLen: 16 });
      return Buffer.from(mac).equals(message.subarray(116, 132));
    };
    expect(packets("wireguard_initiation_valid_mac1", family).every(isValid)).toBe(true);
    expect(packets("wireguard_initiation", family).some(isValid)).toBe(false);
  });

  test("OpenVPN and IKE messages have the published shape", () => {
    for (const packet of packets("openvpn_reset", family)) {
      const message = udpPayload(packet, family);
      expect([message[0], message.length]).toEqual([0x38, 54]);
      expect(message.readBigUInt64BE(1)).not.toBe(0n);
    }
    for (const packet of packets("openvpn_reset_plain", family)) {
      const message = udpPayload(packet, family);
      expect([message[0], message.length]).toEqual([0x38, 14]);
      expect(message.readBigUInt64BE(1)).not.toBe(0n);
      expect([...message.subarray(9)]).toEqual([0, 0, 0, 0, 0]);
    }
    for (const packet of packets("openvpn_data", family)) expect(udpPayload(packet, family)[0]).toBe(0x48);
    for (const port of [500, 4500]) {
      const messages = (attack: AttackName) =>
        packets(attack, family, { port }).map((packet) => udpPayload(packet, family).subarray(port === 4500 ? 4 : 0));
      for (const message of messages("ike_sa_init")) {
        expect([message[17], message[18], message[19]]).toEqual([0x20, 34, 8]);
        expect(message.readUInt32BE(24)).toBe(message.length);
        expect(message.readBigUInt64BE(8)).toBe(0n);
      }
      for (const message of messages("ike_auth")) {
        expect([message[16], message[17], message[18], message[19]]).toEqual([46, 0x20, 35, 8]);
        expect(message.readUInt32BE(24)).toBe(message.length);
        expect(message.readUInt16BE(30)).toBe(message.length - 28);
        expect(message.readBigUInt64BE(8)).not.toBe(0n);
      }
    }
    for (const packet of packets("ipsec_data", family)) {
      const message = udpPayload(packet, family);
      expect(message[0]! >> 4).toBe(0xc);
      expect(message.length % 4).toBe(0);
    }
  });

  test("sources may be of one prefix, and a prefix may be what is attacked", () => {
    const [sources, destinations, fixed] =
      family === 4 ? ["203.0.113.64/27", "198.51.100.0/24", 27] : ["2001:db8:48::/48", "2001:db8:ca::/121", 48];
    const at = (packet: Buffer, end: 0 | 1) => {
      const [start, bytes] = family === 4 ? [12, 4] : [8, 16];
      return packet.subarray(start + end * bytes, start + (end + 1) * bytes);
    };
    const inside = (address: Buffer, prefix: string, length: number) => {
      const whole = addressBytes(prefix.split("/")[0]!);
      const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
      return bits(address).slice(0, length) === bits(whole).slice(0, length);
    };
    const seen = packets("udp_random", family, { sources: { prefix: sources }, destinations });
    expect(seen.every((packet) => inside(at(packet, 0), sources, fixed))).toBe(true);
    expect(seen.every((packet) => inside(at(packet, 1), destinations, family === 4 ? 24 : 121))).toBe(true);
    const different = (end: 0 | 1) => new Set(seen.map((packet) => at(packet, end).toString("hex"))).size;
    expect(different(0)).toBeGreaterThan(family === 4 ? 25 : 250);
    expect(different(1)).toBeGreaterThan(90);
    for (const packet of seen) {
      const segment = packet.subarray(header(family));
      const pseudo = Uint8Array.of(0, 17, segment.length >> 8, segment.length & 255);
      expect(folded(at(packet, 0), at(packet, 1), pseudo, segment)).toBe(0xffff);
    }
  });

  test("sources may be a few, or one", () => {
    const sourceOf = (packet: Buffer) => packet.subarray(family === 4 ? 12 : 8, family === 4 ? 16 : 24).toString("hex");
    const few = new Set(packets("udp_random", family, { sources: { count: 5 } }).map(sourceOf));
    expect(few.size).toBe(5);
    const address = family === 4 ? "203.0.113.9" : "2001:db8::9";
    const one = new Set(packets("udp_random", family, { sources: { address } }).map(sourceOf));
    expect([...one]).toEqual([Buffer.from(addressBytes(address)).toString("hex")]);
  });

  test("packets carry their number, until it no longer fits", () => {
    const number = (packet: Buffer) => packet.readUInt16BE(family === 4 ? 4 : 2);
    const numbers = packets("syn", family, { packets: ORDERED_PACKETS + 3 }).map(number);
    expect(numbers.slice(0, 3)).toEqual([0, 1, 2]);
    expect(numbers.slice(-4)).toEqual([ORDERED_PACKETS - 1, ORDERED_PACKETS, ORDERED_PACKETS, ORDERED_PACKETS]);
  });
});

test("valid mac1 without the server's key is an error", () => {
  expect(() => packets("wireguard_initiation_valid_mac1", 4, { serverPublicKey: undefined })).toThrow("public key");
});

test.each(["1.2.3", "fe80::1%eth0", "::ffff:1.2.3.4", "example.org", ""])("%j is no address", (address) => {
  expect(() => addressBytes(address)).toThrow("not an address");
});

describe("of a session that was overheard", () => {
  const pseudo = (length: number) => Uint8Array.of(0, 17, length >> 8, length & 255);
  const recorded = [7, 8].map((fill) => Buffer.alloc(112, fill).fill(4, 0, 1).toString("base64"));
  const heads = (seen: Buffer[], length: number) =>
    [...new Set(seen.map((packet) => udpPayload(packet, 4).subarray(0, length).toString("hex")))].sort();

  test("packets are replayed as they are, from anywhere", () => {
    const seen = packets("replayed", 4, { recorded });
    expect(new Set(seen.map((packet) => udpPayload(packet, 4).toString("base64")))).toEqual(new Set(recorded));
    expect(new Set(seen.map((packet) => packet.readUInt32BE(12))).size).toBeGreaterThan(290);
  });

  test("data is made up behind its index, from its own address and port", () => {
    const seen = packets("wireguard_data", 4, { recorded, sources: { address: "203.0.113.9" }, sourcePort: 41_000 });
    expect(heads(seen, 8)).toEqual(["0407070707070707", "0408080808080808"]);
    expect(new Set(seen.map((packet) => packet.readBigUInt64LE(36))).size).toBe(seen.length);
    expect(new Set(seen.map((packet) => packet.readUInt16BE(20)))).toEqual(new Set([41_000]));
    for (const packet of seen)
      expect(folded(packet.subarray(12, 20), packet.subarray(20), pseudo(packet.length - 20))).toBe(0xffff);
  });

  test("data is made up behind its peer id", () => {
    expect(heads(packets("openvpn_data", 4, { recorded }), 4)).toEqual(["04070707", "04080808"]);
  });
});

test("recorded initiations are replayed as they are, each from many sources", () => {
  const recorded = [1, 2, 3].map((fill) => Buffer.alloc(148, fill).toString("base64"));
  const seen = packets("wireguard_initiation_valid_mac1", 4, { recorded });
  const messages = new Set(seen.map((packet) => udpPayload(packet, 4).toString("base64")));
  expect([...messages].sort()).toEqual(recorded);
  expect(new Set(seen.map((packet) => packet.readUInt32BE(12))).size).toBeGreaterThan(290);
});
