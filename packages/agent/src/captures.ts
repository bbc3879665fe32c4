import fs from "node:fs";
import { promisify } from "node:util";
import { PCAP_HEAD_BYTES } from "@flowtriq/detection/pcap";
import { PacketRing, RingReader } from "@flowtriq/detection/ring";
import { RECORD } from "@flowtriq/mitigation/record";
import type { AgentConfig } from "@flowtriq/protocol/config";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { CaptureFolder, type Leftover } from "./capture-folder.ts";
import type { TakePacket } from "./nflog-message.ts";

/**
 * The kernel records at most 20 packets a second and 5 at once, so these are the last 15 s of traffic at its busiest. Samples of
 * attacks cannot push them out: those have a ring of their own, for the 3 s that may pass until they are written, at 200 a second
 * and 200 at once.
 */
const RECORDED_PACKETS = 320;
const SAMPLED_PACKETS = 832;
/** Where hardly anything arrives the ring reaches back for minutes: a capture begins no earlier than this. */
const BEFORE_MS = 30_000;
/** The kernel gathers recorded packets for a second, and a reading may be late: until then their order is open. */
const SETTLED_MS = 2_000;
const WRITE_MS = 1_000;
/** At most 7 MB, and half an hour of attack: what comes later shows nothing new. */
const MAX_PACKETS = 50_000;

type Written = Omit<AgentEventOf<"capture.written">, "id" | "at" | "event">;
/** What is known of the attack when its capture begins and ends; times in epoch milliseconds. */
export type Captured = { id: string; firstPacketAt: number };

export type CapturesOptions = {
  directory: string;
  limits: AgentConfig["captures"];
  /** Length at which the samples of attacks are cut. */
  sampleBytes: number;
  /** What the kernel records in peace; without it a capture begins with its attack. */
  recorded: { drain(take: TakePacket): void; close(): void } | undefined;
  onWritten: (written: Written) => void;
  onTrouble: (message: string) => void;
};

type Open = {
  firstPacketAt: number | null;
  reader: RingReader;
  fd: number | undefined;
  packets: number;
  bytes: number;
  firstAt: number | undefined;
  complete: boolean;
  /** Trouble is told once. */
  failed: boolean;
  /** The last writing; the next one waits for it. */
  writing: Promise<void>;
  busy: boolean;
};

const write = promisify(fs.write);

/**
 * One capture per attack, which begins with the traffic before it. Packets go into rings that stand in memory; once a second, while
 * there is an attack, what has come is appended to its file, and nothing waits for the disk. No failure of it is thrown: it is told as
 * trouble, once a capture.
 */
export class Captures {
  readonly #options: CapturesOptions;
  readonly #folder: CaptureFolder;
  readonly #recorded = new PacketRing(RECORDED_PACKETS, RECORD.snapBytes);
  readonly #sampled = new PacketRing(SAMPLED_PACKETS, RECORD.snapBytes);
  readonly #open = new Map<string, Open>();
  #now = 0;
  #writtenAt = 0;

  /** Throws when the folder cannot be made. */
  constructor(options: CapturesOptions) {
    this.#options = options;
    this.#folder = new CaptureFolder(options.directory, options.limits);
  }

  readonly #take: TakePacket = (at, buffer, from, to) => {
    const cut = to - from >= RECORD.snapBytes;
    this.#recorded.put(at || this.#now, buffer, from, to, cut, this.#options.limits.payloadBytes);
  };

  /** A sample of a lane whose rate tripped. */
  sample(now: number, bytes: Uint8Array): void {
    const cut = bytes.length >= this.#options.sampleBytes;
    this.#sampled.put(now, bytes, 0, bytes.length, cut, this.#options.limits.payloadBytes);
  }

  /** Takes what the kernel has recorded, and writes what is due. */
  tick(now: number): void {
    this.#now = now;
    this.#options.recorded?.drain(this.#take);
    if (this.#open.size === 0 || now - this.#writtenAt < WRITE_MS) return;
    this.#writtenAt = now;
    for (const [attack, open] of this.#open) if (!open.busy) this.#append(attack, open, now - SETTLED_MS);
  }

  begin({ id, firstPacketAt }: Captured, now: number): void {
    this.#open.set(id, this.#opened(firstPacketAt, now - BEFORE_MS));
  }

  /** Finishes a capture with what has come until now. */
  end({ id, firstPacketAt }: Captured): void {
    const open = this.#open.get(id);
    if (!open) return;
    open.firstPacketAt = firstPacketAt;
    this.#conclude(id, open);
  }

  /** Resolves when all that was given to the disk is there. */
  async settled(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ writing }) => writing));
  }

  /** Nobody will say any more when the attacks end. */
  endAll(): void {
    for (const [id, open] of this.#open) this.#conclude(id, open);
  }

  /**
   * What a predecessor left: captures of attacks that are taken over go on in the same file, others are finished. `known`: all
   * attacks that it left.
   */
  recover(known: Captured[], adopted: string[], now: number): void {
    const leftovers = new Map<string, Leftover>();
    this.#quietly(() => {
      for (const leftover of this.#folder.leftovers()) leftovers.set(leftover.attack, leftover);
    });
    for (const id of adopted) {
      const open = this.#opened(known.find((attack) => attack.id === id)?.firstPacketAt ?? null, now);
      const { packets, bytes, firstAt } = leftovers.get(id) ?? open;
      // Between the two agents nobody listened.
      this.#open.set(id, Object.assign(open, { packets, bytes, firstAt, complete: false }));
      leftovers.delete(id);
    }
    for (const { attack, ...found } of leftovers.values()) {
      const open = this.#opened(known.find(({ id }) => id === attack)?.firstPacketAt ?? null, now);
      this.#finish(attack, Object.assign(open, found, { complete: false }));
    }
  }

  /** Writes what is there; a successor goes on with it, or finishes it. */
  close(): void {
    for (const [attack, open] of this.#open) {
      if (open.busy) continue;
      const batch = open.reader.read(Number.POSITIVE_INFINITY, MAX_PACKETS - open.packets);
      this.#quietly(() => {
        if (batch.packets > 0) fs.writeSync(this.#fdOf(attack, open), batch.bytes);
      });
    }
    this.#open.clear();
    this.#options.recorded?.close();
  }

  #conclude(attack: string, open: Open): void {
    this.#open.delete(attack);
    this.#append(attack, open, Number.POSITIVE_INFINITY);
    void open.writing.then(() => this.#finish(attack, open));
  }

  #opened(firstPacketAt: number | null, from: number): Open {
    const reader = new RingReader([this.#recorded, this.#sampled], from);
    const nothing = { fd: undefined, packets: 0, bytes: PCAP_HEAD_BYTES, firstAt: undefined };
    return {
      firstPacketAt,
      reader,
      ...nothing,
      complete: true,
      failed: false,
      writing: Promise.resolve(),
      busy: false,
    };
  }

  #fdOf(attack: string, open: Open): number {
    open.fd ??= this.#folder.open(attack, RECORD.snapBytes);
    return open.fd;
  }

  #append(attack: string, open: Open, until: number): void {
    const batch = open.reader.read(until, MAX_PACKETS - open.packets);
    if (open.reader.missed > 0 || open.packets + batch.packets >= MAX_PACKETS) open.complete = false;
    if (batch.packets === 0) return;
    open.busy = true;
    open.writing = open.writing
      .then(async () => {
        if (!this.#folder.room(this.#growingBytes(open) + batch.bytes.length)) {
          open.complete = false;
          return;
        }
        await writeAll(this.#fdOf(attack, open), batch.bytes);
        open.packets += batch.packets;
        open.bytes += batch.bytes.length;
        open.firstAt ??= batch.firstAt;
      })
      .catch((error: Error) => this.#fail(open, error))
      .finally(() => {
        open.busy = false;
      });
  }

  /** Of all files that are not finished, this one included. */
  #growingBytes(mine: Open): number {
    let bytes = mine.bytes;
    for (const open of this.#open.values()) if (open !== mine) bytes += open.bytes;
    return bytes;
  }

  /** A full disk may have taken a part of the batch: it goes, so that the file ends with a whole record. */
  #fail(open: Open, error: Error): void {
    if (!open.failed) this.#options.onTrouble(`A capture cannot be written: ${error.message}`);
    open.failed = true;
    open.complete = false;
    if (open.fd !== undefined) this.#quietly(() => fs.ftruncateSync(open.fd!, open.bytes));
  }

  #finish(attack: string, open: Open): void {
    this.#quietly(() => {
      if (open.fd !== undefined) fs.closeSync(open.fd);
      if (open.packets === 0) return this.#folder.discard(attack);
      const file = this.#folder.finish(attack, open.bytes);
      const { packets, bytes, complete, firstPacketAt, firstAt } = open;
      const before = firstPacketAt === null || firstAt === undefined ? null : Math.max(0, firstPacketAt - firstAt);
      const secondsBefore = before === null ? null : Math.round(before) / 1000;
      this.#options.onWritten({ attack, file, packets, bytes, secondsBefore, complete });
    });
  }

  #quietly(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.onTrouble(`A capture cannot be kept: ${(error as Error).message}`);
    }
  }
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, null);
    done += bytesWritten;
  }
}
