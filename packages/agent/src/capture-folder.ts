import fs from "node:fs";
import path from "node:path";
import { LINK } from "@flowtriq/detection/packet";
import { PCAP_HEAD_BYTES, PCAP_RECORD_BYTES, pcapHead, readPcap } from "@flowtriq/detection/pcap";

export type FolderLimits = { maxFiles: number; maxMegabytes: number };
/** A capture whose agent was killed: what is whole of it. */
export type Leftover = { attack: string; packets: number; bytes: number; firstAt: number };

const FINISHED = /^(atk_[A-Za-z0-9_-]{10,32})\.pcap$/;
const UNFINISHED = /^(atk_[A-Za-z0-9_-]{10,32})\.pcap\.part$/;
/** Larger than any that we write: not ours, or damaged. */
const MAX_LEFTOVER_BYTES = 1 << 25;

/** The folder of captures: `ATTACK.pcap`, beside `ATTACK.pcap.part` while it grows. Other files in it are not touched. */
export class CaptureFolder {
  readonly #path: string;
  readonly #limits: FolderLimits;
  /** Oldest first. */
  readonly #finished: { name: string; bytes: number }[];

  /** Makes the folder. Throws when it cannot. */
  constructor(directory: string, limits: FolderLimits) {
    this.#path = directory;
    this.#limits = limits;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#finished = fs
      .readdirSync(directory)
      .filter((name) => FINISHED.test(name))
      .map((name) => ({ name, stat: fs.statSync(path.join(directory, name)) }))
      .sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs)
      .map(({ name, stat }) => ({ name, bytes: stat.size }));
    this.#prune(0);
  }

  /** Opens the growing file of an attack for appending, with its head written if it is new. */
  open(attack: string, snapLength: number): number {
    const fd = fs.openSync(this.#part(attack), "a", 0o600);
    try {
      if (fs.fstatSync(fd).size === 0) fs.writeSync(fd, pcapHead(LINK.raw, snapLength, "micro"));
    } catch (error) {
      fs.closeSync(fd);
      fs.rmSync(this.#part(attack), { force: true });
      throw error;
    }
    return fd;
  }

  /** Gives the file its name for good; returns it. */
  finish(attack: string, bytes: number): string {
    const name = `${attack}.pcap`;
    fs.renameSync(this.#part(attack), path.join(this.#path, name));
    const known = this.#finished.findIndex((file) => file.name === name);
    if (known >= 0) this.#finished.splice(known, 1);
    this.#finished.push({ name, bytes });
    this.#prune(0);
    return name;
  }

  discard(attack: string): void {
    fs.rmSync(this.#part(attack), { force: true });
  }

  /** Is there room for this many bytes in files that grow? The oldest finished ones make it. */
  room(growingBytes: number): boolean {
    this.#prune(growingBytes);
    return this.#total() + growingBytes <= this.#limits.maxMegabytes * 1e6;
  }

  /** What killed agents left growing, cut to its whole records; what holds none is removed. */
  leftovers(): Leftover[] {
    return fs.readdirSync(this.#path).flatMap((name) => {
      const attack = UNFINISHED.exec(name)?.[1];
      if (attack === undefined) return [];
      const whole = wholeRecords(path.join(this.#path, name));
      if (!whole) this.discard(attack);
      return whole ? [{ attack, ...whole }] : [];
    });
  }

  #part(attack: string): string {
    return path.join(this.#path, `${attack}.pcap.part`);
  }

  #total(): number {
    return this.#finished.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #prune(growingBytes: number): void {
    const { maxFiles, maxMegabytes } = this.#limits;
    const isOver = () => this.#finished.length > maxFiles || this.#total() + growingBytes > maxMegabytes * 1e6;
    while (this.#finished.length > 0 && isOver()) {
      fs.rmSync(path.join(this.#path, this.#finished.shift()!.name), { force: true });
    }
  }
}

/** Cuts a file after its last whole record. Undefined when there is none, or when it is no capture of ours. */
function wholeRecords(file: string): Omit<Leftover, "attack"> | undefined {
  try {
    if (fs.statSync(file).size > MAX_LEFTOVER_BYTES) return undefined;
    let packets = 0;
    let bytes = PCAP_HEAD_BYTES;
    let firstAt = 0;
    for (const record of readPcap(fs.readFileSync(file))) {
      if (packets === 0) firstAt = record.at;
      packets += 1;
      bytes += PCAP_RECORD_BYTES + record.bytes.length;
    }
    if (packets === 0) return undefined;
    fs.truncateSync(file, bytes);
    return { packets, bytes, firstAt };
  } catch {
    return undefined;
  }
}
