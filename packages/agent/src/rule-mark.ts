import fs from "node:fs";
import { open } from "./netlink.ts";
import { ENOENT, NetlinkError } from "./netlink-error.ts";
import {
  attribute,
  eachAttribute,
  message,
  NFPROTO_INET,
  NLM_DUMP,
  NLM_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  SUBSYS_NFTABLES,
  text,
} from "./netlink-message.ts";

const GETGEN = 16;
/** What is asked for, whether for one or all, whether the kernel picks those of our table, and the fields that must not change, as bits. */
const PARTS = [
  // NFT_MSG_GETTABLE: flags, of which one puts the table to sleep.
  { type: 1, dump: false, narrow: true, fields: 1 << 2 },
  // NFT_MSG_GETCHAIN: handle, hook with its devices, policy.
  { type: 4, dump: true, narrow: false, fields: (1 << 2) | (1 << 4) | (1 << 5) },
  // NFT_MSG_GETRULE: handle.
  { type: 7, dump: true, narrow: true, fields: 1 << 3 },
] as const;
const TYPE_MASK = 0x3fff;
/** The kernel changed its rules while it was telling them. */
const DUMP_INTERRUPTED = 0x10;
/** Behind the netlink header comes one of four bytes: family, version, resource (nfgenmsg). */
const ATTRIBUTES_AT = 20;
/** The kernel fills what it is given; a rule takes some hundred bytes. */
const BUFFER_BYTES = 1 << 14;

/**
 * Tells whether the rules of a table are still those that were loaded: the kernel gives every rule and chain a number that it
 * never uses again, so a rule that is taken out, put in or replaced changes the mark; so do a chain's policy and devices, and a
 * table that is put to sleep. What the sets and counters hold does not. Layout: linux/netfilter/nf_tables.h.
 */
export class RuleMark {
  readonly #fd = open(2000);
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  readonly #table: string;
  readonly #tableBytes: Buffer;
  /** Asked every second, so made once. */
  readonly #askGeneration = message((SUBSYS_NFTABLES << 8) | GETGEN, NLM_REQUEST, NFPROTO_INET, 0, 0, []);
  #sequence = 1;

  constructor(table: string) {
    this.#table = table;
    this.#tableBytes = Buffer.from(`${table}\0`, "latin1");
  }

  /** Counts every change of anybody's rules, elements included: while it stands still there is nothing to look at. */
  generation(): number {
    const GENERATION_ID = 1;
    let generation = 0;
    fs.writeSync(this.#fd, this.#askGeneration);
    this.#answers(0, false, (start, end) => {
      eachAttribute(this.#buffer, start + ATTRIBUTES_AT, end, (type, from) => {
        if (type === GENERATION_ID) generation = this.#buffer.readUInt32BE(from);
      });
    });
    return generation;
  }

  /** Undefined while somebody is changing rules; without the table it is that of no rules. */
  read(): number | undefined {
    this.#sum = 0;
    this.#whole = true;
    for (const { type, dump, narrow, fields } of PARTS) {
      const only = narrow ? [attribute(1, text(this.#table))] : [];
      const flags = dump ? NLM_REQUEST | NLM_DUMP : NLM_REQUEST;
      if (!this.#ask(type, flags, only, (start, end) => this.#add(start, end, fields))) return 0;
    }
    return this.#whole ? this.#sum : undefined;
  }
  #sum = 0;
  #whole = true;

  /** Adds the wanted fields of one table, chain or rule of ours. Hundreds a reading: by hand, so that it leaves no garbage. */
  #add(start: number, end: number, fields: number): void {
    const buffer = this.#buffer;
    if ((buffer.readUInt16LE(start + 6) & DUMP_INTERRUPTED) !== 0) this.#whole = false;
    for (let at = start + ATTRIBUTES_AT; at + 4 <= end; ) {
      const length = buffer.readUInt16LE(at);
      const type = buffer.readUInt16LE(at + 2) & TYPE_MASK;
      if (length < 4 || at + length > end) return;
      // The table's name comes first in all three.
      if (type === 1 && this.#tableBytes.compare(buffer, at + 4, at + length) !== 0) return;
      if ((fields & (1 << type)) !== 0) {
        for (let byte = at + 4; byte < at + length; byte++) this.#sum = (Math.imul(this.#sum, 31) + buffer[byte]!) | 0;
      }
      at += (length + 3) & ~3;
    }
  }

  /** False when there is nothing of the kind. */
  #ask(type: number, flags: number, attributes: Buffer[], each: (start: number, end: number) => void): boolean {
    const sequence = this.#sequence++;
    fs.writeSync(this.#fd, message((SUBSYS_NFTABLES << 8) | type, flags, NFPROTO_INET, 0, sequence, attributes));
    return this.#answers(sequence, (flags & NLM_DUMP) !== 0, each);
  }

  #answers(sequence: number, dump: boolean, each: (start: number, end: number) => void): boolean {
    for (;;) {
      const length = fs.readSync(this.#fd, this.#buffer, 0, BUFFER_BYTES, null);
      let at = 0;
      while (at + 16 <= length) {
        const size = this.#buffer.readUInt32LE(at);
        if (size < 16 || at + size > length) break;
        if (this.#buffer.readUInt32LE(at + 8) === sequence) {
          const kind = this.#buffer.readUInt16LE(at + 4);
          if (kind === NLMSG_DONE) return true;
          if (kind === NLMSG_ERROR) {
            const errno = -this.#buffer.readInt32LE(at + 16);
            if (errno === ENOENT) return false;
            throw new NetlinkError("reading the rules", errno);
          }
          each(at, at + size);
          if (!dump) return true;
        }
        at += (size + 3) & ~3;
      }
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
