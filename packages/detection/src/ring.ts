import { headerLength, lengthOnWire } from "./headers.ts";
import { PCAP_RECORD_BYTES, putRecordHead } from "./pcap.ts";

/** Two CPUs that receive at the same time hand their packets over in any order. Larger steps back are the clock's. */
const OUT_OF_ORDER_MS = 500;

/**
 * The last so many packets, cut to their headers, as records of a pcap in one block of memory that is made once: putting a packet
 * in leaves no garbage. Packets are counted from 0 in the order of their times; the oldest are overwritten.
 */
export class PacketRing {
  readonly #slots: number;
  readonly #snapLength: number;
  readonly #slotBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #times: Float64Array;
  readonly #head = { at: 0, captured: 0, wireLength: 0 };
  #next = 0;
  #sealed = 0;

  /** `slots` packets of at most `snapLength` octets each. */
  constructor(slots: number, snapLength: number) {
    this.#slots = slots;
    this.#snapLength = snapLength;
    this.#slotBytes = PCAP_RECORD_BYTES + snapLength;
    this.#bytes = new Uint8Array(slots * this.#slotBytes);
    this.#view = new DataView(this.#bytes.buffer);
    this.#times = new Float64Array(slots);
  }

  /** The number that the next packet will have. */
  get next(): number {
    return this.#next;
  }
  /** The number of the oldest packet that is still here; `next` when there is none. */
  get oldest(): number {
    return Math.max(0, this.#next - this.#slots);
  }

  /**
   * Keeps the packet in `bytes[from, to)`, which begins with its IP header: its headers and `payloadBytes` more. `cut`: it was longer.
   * What is not IP is not kept. A packet that came a little earlier than its predecessors is put before them, unless they are sealed.
   */
  put(at: number, bytes: Uint8Array, from: number, to: number, cut: boolean, payloadBytes: number): void {
    const headers = headerLength(bytes, from, to);
    if (headers === 0) return;
    const head = this.#head;
    head.at = at;
    head.wireLength = lengthOnWire(bytes, from, to, cut);
    head.captured = Math.min(headers + payloadBytes, to - from, head.wireLength, this.#snapLength);
    const slot = this.#placeFor(at) % this.#slots;
    const offset = slot * this.#slotBytes;
    putRecordHead(this.#view, offset, head, "micro");
    for (let n = 0; n < head.captured; n++) this.#bytes[offset + PCAP_RECORD_BYTES + n] = bytes[from + n]!;
    this.#times[slot] = at;
    this.#next += 1;
  }

  /** Somebody has read the packets before `n`: their numbers stay as they are. */
  seal(n: number): void {
    this.#sealed = Math.max(this.#sealed, n);
  }

  /** The number of a packet of this time, the later ones moved up by one. */
  #placeFor(at: number): number {
    const last = this.#times[(this.#next + this.#slots - 1) % this.#slots]!;
    if (at >= last || last - at > OUT_OF_ORDER_MS) return this.#next;
    // The slot of the oldest packet is the one that the last will have.
    const first = Math.max(this.#sealed, this.#next - this.#slots + 1, 0);
    let n = this.#next;
    for (; n > first && this.timeOf(n - 1) > at; n--) {
      const [from, to] = [(n - 1) % this.#slots, n % this.#slots];
      this.#times[to] = this.#times[from]!;
      this.#bytes.copyWithin(to * this.#slotBytes, from * this.#slotBytes, (from + 1) * this.#slotBytes);
    }
    return n;
  }

  /** When packet `n` came, epoch milliseconds. */
  timeOf(n: number): number {
    return this.#times[n % this.#slots]!;
  }

  /** Packet `n` as a record of a pcap: a view that holds until the packet is overwritten. */
  record(n: number): Uint8Array {
    const offset = (n % this.#slots) * this.#slotBytes;
    return this.#bytes.subarray(offset, offset + PCAP_RECORD_BYTES + this.#view.getUint32(offset + 8, true));
  }
}

/** How far somebody has read several rings: numbers of packets, and how many were overwritten before they were read. */
export class RingReader {
  readonly #rings: readonly PacketRing[];
  readonly #at: number[];
  missed = 0;

  /** Begins with the first packets that came at `from` (epoch milliseconds) or later. */
  constructor(rings: readonly PacketRing[], from: number) {
    this.#rings = rings;
    this.#at = rings.map((ring) => {
      let n = ring.oldest;
      while (n < ring.next && ring.timeOf(n) < from) n++;
      return n;
    });
  }

  /**
   * The records that came before `until` and have not been read, those of all rings by their times, at most `limit`.
   */
  read(until: number, limit: number): { bytes: Uint8Array; packets: number; firstAt: number | undefined } {
    const records: Uint8Array[] = [];
    let size = 0;
    let firstAt: number | undefined;
    this.#skipOverwritten();
    while (records.length < limit) {
      const ring = this.#earliest(until);
      if (ring < 0) break;
      const n = this.#at[ring]!++;
      const record = this.#rings[ring]!.record(n);
      firstAt ??= this.#rings[ring]!.timeOf(n);
      records.push(record);
      size += record.length;
    }
    for (const [index, ring] of this.#rings.entries()) ring.seal(this.#at[index]!);
    const bytes = new Uint8Array(size);
    let offset = 0;
    for (const record of records) {
      bytes.set(record, offset);
      offset += record.length;
    }
    return { bytes, packets: records.length, firstAt };
  }

  #skipOverwritten(): void {
    for (const [index, ring] of this.#rings.entries()) {
      const behind = ring.oldest - this.#at[index]!;
      if (behind <= 0) continue;
      this.missed += behind;
      this.#at[index] = ring.oldest;
    }
  }

  /** The ring whose next unread packet is the earliest, or -1. */
  #earliest(until: number): number {
    let found = -1;
    let earliest = until;
    for (let index = 0; index < this.#rings.length; index++) {
      const ring = this.#rings[index]!;
      const n = this.#at[index]!;
      if (n >= ring.next || ring.timeOf(n) >= earliest) continue;
      found = index;
      earliest = ring.timeOf(n);
    }
    return found;
  }
}
