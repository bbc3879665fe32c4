import fs from "node:fs";
import type { Lease } from "@flowtriq/mitigation/leases";
import { type HeldLease, heldLease, leaseElement } from "./lease-message.ts";
import { open, readOnce } from "./netlink.ts";
import { NetlinkError } from "./netlink-error.ts";
import {
  attribute,
  be32,
  eachAttribute,
  message,
  NFPROTO_INET,
  NLM_ACK,
  NLM_CREATE,
  NLM_DUMP,
  NLM_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  nest,
  SUBSYS_NFTABLES,
  text,
} from "./netlink-message.ts";

export type CounterValue = { packets: number; bytes: number };

/** A counter's message: what it begins with, how long it is, and where its values stand from its start. */
type Place = { name: string; head: Buffer; size: number; bytesAt: number; packetsAt: number; value: CounterValue };

/** Behind the netlink header comes one of four bytes: family, version, resource (nfgenmsg). */
const ATTRIBUTES_AT = 20;
const COUNT_BYTES = 8;

/** 53 bits of packets last for decades at any rate a machine can see. */
const readCount = (buffer: Buffer, at: number) => buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);

const isAt = (buffer: Buffer, at: number, wanted: Buffer) =>
  buffer.compare(wanted, 0, wanted.length, at, at + wanted.length) === 0;

/** One table's counters and leases over one socket: reading all counters costs tens of microseconds whatever its sets hold. */
export class NftSocket {
  readonly #fd = open(2000);
  readonly #buffer = Buffer.alloc(1 << 17);
  readonly #table: string;
  #sequence = 1;
  /** Counters by their place in the kernel's answer, which hardly ever changes. */
  readonly #places: Place[] = [];
  readonly #values = new Map<string, CounterValue>();

  constructor(table: string) {
    this.#table = table;
  }

  /**
   * Packets and bytes of every named counter of the table, good until the next call. Throws NetlinkError ENOENT when the table is
   * gone.
   */
  counters(): ReadonlyMap<string, Readonly<CounterValue>> {
    const GETOBJ = (SUBSYS_NFTABLES << 8) | 19;
    const OBJECT_COUNTER = 1;
    const sequence = this.#sequence++;
    const request = message(GETOBJ, NLM_REQUEST | NLM_DUMP, NFPROTO_INET, 0, sequence, [
      attribute(1, text(this.#table)),
      attribute(3, be32(OBJECT_COUNTER)),
    ]);
    fs.writeSync(this.#fd, request);
    let count = 0;
    this.#receive(sequence, "reading counters", (start, end) => this.#takeCounter(count++, start, end));
    if (this.#values.size !== count) {
      // The table was loaded anew with fewer counters: what is not answered any more is forgotten.
      this.#places.length = count;
      const answered = new Set(this.#places.map(({ name }) => name));
      for (const name of this.#values.keys()) if (!answered.has(name)) this.#values.delete(name);
    }
    return this.#values;
  }

  /** One counter of an answer. Hundreds a reading, ten readings a second: one that looks as it did is read where it was found then. */
  #takeCounter(index: number, start: number, end: number): void {
    const buffer = this.#buffer;
    let place = this.#places[index];
    if (!place || place.size !== end - start || !isAt(buffer, start + ATTRIBUTES_AT, place.head)) {
      place = this.#placeOf(start, end);
      this.#places[index] = place;
    }
    place.value.bytes = readCount(buffer, start + place.bytesAt);
    place.value.packets = readCount(buffer, start + place.packetsAt);
  }

  /** Where the name and the two values stand in a counter's message. */
  #placeOf(start: number, end: number): Place {
    const buffer = this.#buffer;
    let name = "";
    let [bytesAt, packetsAt] = [0, 0];
    eachAttribute(buffer, start + ATTRIBUTES_AT, end, (type, from, to) => {
      if (type === 2) name = buffer.toString("latin1", from, to - 1);
      else if (type === 4)
        eachAttribute(buffer, from, to, (inner, at, until) => {
          if (until - at < COUNT_BYTES) return;
          if (inner === 1) bytesAt = at - start;
          else if (inner === 2) packetsAt = at - start;
        });
    });
    // All that comes before the values and between them is the same in the next answer, or the place is looked for again.
    if (bytesAt === 0 || packetsAt <= bytesAt) throw new Error("reading counters: the kernel answers in another form");
    const value = this.#values.get(name) ?? { packets: 0, bytes: 0 };
    this.#values.set(name, value);
    const head = Buffer.from(buffer.subarray(start + ATTRIBUTES_AT, start + bytesAt));
    return { name, head, size: end - start, bytesAt, packetsAt, value };
  }

  /** What `counters` answered last. */
  get last(): ReadonlyMap<string, Readonly<CounterValue>> {
    return this.#values;
  }

  /**
   * Makes these sets and maps hold exactly these elements, in one transaction. Emptying first is what renews: adding an element that
   * stands does not extend its timeout (Linux 6.18).
   */
  lease(wanted: Lease[]): void {
    if (wanted.length === 0) return;
    const NEWSETELEM = (SUBSYS_NFTABLES << 8) | 12;
    const DELSETELEM = (SUBSYS_NFTABLES << 8) | 14;
    const first = this.#sequence;
    const parts = [message(0x10, NLM_REQUEST, 0, SUBSYS_NFTABLES, this.#sequence++, [])];
    for (const { set, elements } of wanted) {
      const where = [attribute(1, text(this.#table)), attribute(2, text(set))];
      parts.push(message(DELSETELEM, NLM_REQUEST, NFPROTO_INET, 0, this.#sequence++, where));
      if (elements.length === 0) continue;
      parts.push(
        message(NEWSETELEM, NLM_REQUEST | NLM_CREATE, NFPROTO_INET, 0, this.#sequence++, [
          ...where,
          nest(3, elements.map(leaseElement)),
        ]),
      );
    }
    // The acknowledgement of the last message stands for the transaction; errors come for the message that failed.
    const last = parts.pop()!;
    last.writeUInt16LE(last.readUInt16LE(6) | NLM_ACK, 6);
    parts.push(last, message(0x11, NLM_REQUEST, 0, SUBSYS_NFTABLES, this.#sequence++, []));
    fs.writeSync(this.#fd, Buffer.concat(parts));
    this.#receive(last.readUInt32LE(8), "renewing a lease", undefined, first);
  }

  /** What is left of the leases held now, by the names of the sets and maps, out of those given. */
  leases(names: string[]): Map<string, HeldLease> {
    const GETSETELEM = (SUBSYS_NFTABLES << 8) | 13;
    const found = new Map<string, HeldLease>();
    for (const name of names) {
      const sequence = this.#sequence++;
      fs.writeSync(
        this.#fd,
        message(GETSETELEM, NLM_REQUEST | NLM_DUMP, NFPROTO_INET, 0, sequence, [
          attribute(1, text(this.#table)),
          attribute(2, text(name)),
        ]),
      );
      const buffer = this.#buffer;
      this.#receive(sequence, "reading a lease", (start, end) => {
        eachAttribute(buffer, start + 20, end, (type, from, to) => {
          // An empty set answers with an empty list.
          if (type !== 3) return;
          eachAttribute(buffer, from, to, (_, elementFrom, elementTo) => {
            const lease = heldLease(buffer, elementFrom, elementTo);
            if (lease.seconds >= (found.get(name)?.seconds ?? 0)) found.set(name, lease);
          });
        });
      });
    }
    return found;
  }

  #receive(until: number, what: string, each?: (start: number, end: number) => void, from = until): void {
    for (;;) {
      const length = readOnce(this.#fd, this.#buffer, what);
      let at = 0;
      while (at + 16 <= length) {
        const size = this.#buffer.readUInt32LE(at);
        if (size < 16 || at + size > length) break;
        const type = this.#buffer.readUInt16LE(at + 4);
        const sequence = this.#buffer.readUInt32LE(at + 8);
        // An answer to an earlier request that was given up on is not ours to read.
        if (sequence >= from && sequence <= until) {
          if (type === NLMSG_DONE) return;
          if (type === NLMSG_ERROR) {
            const errno = -this.#buffer.readInt32LE(at + 16);
            if (errno !== 0) throw new NetlinkError(what, errno);
            if (sequence === until) return;
          } else each?.(at, at + size);
        }
        at += (size + 3) & ~3;
      }
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
