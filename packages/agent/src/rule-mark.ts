import fs from "node:fs";
import {
  attribute,
  ENOENT,
  eachAttribute,
  message,
  NetlinkError,
  NFPROTO_INET,
  NLM_DUMP,
  NLM_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  open,
  SUBSYS_NFTABLES,
  text,
} from "./netlink.ts";

const GETTABLE = 1;
const GETCHAIN = 4;
const GETRULE = 7;
const GETGEN = 16;
/** The kernel changed its rules while it was telling them. */
const DUMP_INTERRUPTED = 0x10;
/** Behind the netlink header comes one of four bytes: family, version, resource (nfgenmsg). */
const ATTRIBUTES_AT = 20;
const BUFFER_BYTES = 1 << 16;

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
    let mark = 0;
    let whole = true;
    const mix = (from: number, to: number) => {
      for (let at = from; at < to; at++) mark = (Math.imul(mark, 31) + this.#buffer[at]!) | 0;
    };
    const FIELDS = { [GETTABLE]: [2], [GETCHAIN]: [2, 4, 5], [GETRULE]: [3] };
    for (const [type, fields] of Object.entries(FIELDS)) {
      const only = Number(type) === GETCHAIN ? [] : [attribute(1, text(this.#table))];
      const flags = Number(type) === GETTABLE ? NLM_REQUEST : NLM_REQUEST | NLM_DUMP;
      const answered = this.#ask(Number(type), flags, only, (start, end) => {
        if ((this.#buffer.readUInt16LE(start + 6) & DUMP_INTERRUPTED) !== 0) whole = false;
        if (!this.#isOurs(start, end)) return;
        eachAttribute(this.#buffer, start + ATTRIBUTES_AT, end, (field, from, to) => {
          if (fields.includes(field)) mix(from, to);
        });
      });
      if (!answered) return 0;
    }
    return whole ? mark : undefined;
  }

  /** The table's name is the first attribute of all three. */
  #isOurs(start: number, end: number): boolean {
    let ours = false;
    eachAttribute(this.#buffer, start + ATTRIBUTES_AT, end, (type, from, to) => {
      if (type === 1) ours = this.#buffer.compare(this.#tableBytes, 0, this.#tableBytes.length, from, to) === 0;
    });
    return ours;
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
