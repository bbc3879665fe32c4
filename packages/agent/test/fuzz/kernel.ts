import assert from "node:assert/strict";
import { createRandom, type Random } from "@flowtriq/lab/random";
import { heldLease, leaseElement } from "../../src/lease-message.ts";
import { attribute, message, nest, SUBSYS_ULOG, text } from "../../src/netlink-message.ts";
import { eachRecorded, eachSample } from "../../src/nflog-message.ts";
import { mutated } from "./material.ts";

const PREFIX = "udp:51820:malformed";

/** What the kernel hands up of a packet: its headers are an attacker's. */
function datagram(random: Random): Buffer {
  const stamp = Buffer.alloc(16);
  stamp.writeUInt32BE(random.below(2 ** 31), 4);
  const packets = Array.from({ length: 1 + random.below(4) }, () => {
    const bytes = Buffer.from(random.bytes(1 + random.below(192)));
    const parts = [attribute(10, text(PREFIX)), attribute(9, bytes), attribute(3, stamp)];
    return message(SUBSYS_ULOG << 8, 0, 0, 4817, 0, parts);
  });
  return Buffer.concat(packets);
}

/** Whole, broken and cut answers of the kernel: what is read of them lies within them. Resolves with how many packets were read. */
export function fuzzKernel(seed: number, times: number): { samples: number; recorded: number; leases: number } {
  const random = createRandom(seed);
  const seen = { samples: 0, recorded: 0, leases: 0 };
  for (let turn = 0; turn < times; turn++) {
    const whole = datagram(random);
    const bytes = turn % 4 === 0 ? whole : Buffer.from(mutated(whole, random));
    const length = turn % 3 === 0 ? random.below(bytes.length + 1) : bytes.length;
    eachSample(bytes, length, ({ bytes: packet, prefix }) => {
      assert(packet.byteLength <= length, "a sample that is longer than what was read");
      assert(prefix.length <= length);
      seen.samples++;
    });
    eachRecorded(bytes, length, (at, buffer, from, to) => {
      assert(buffer === bytes && from >= 0 && from < to && to <= length, "a packet that is not within what was read");
      assert(Number.isFinite(at));
      seen.recorded++;
    });
    const element = nest(1, [leaseElement({ key: "ipv4", chain: "m_udp_51820_malformed", seconds: 45 })]);
    const broken = turn % 4 === 0 ? element : Buffer.from(mutated(element, random));
    const lease = heldLease(broken, Math.min(8, broken.length), broken.length);
    assert(lease.seconds >= 0);
    if (lease.chain) seen.leases++;
  }
  return seen;
}
