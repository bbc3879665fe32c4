import fs from "node:fs";
import { receiveNow } from "./libc.ts";
import { BATCH_BYTES, bindToGroup, open } from "./netlink.ts";
import { eachRecorded, eachSample, type Sample, type TakePacket } from "./nflog-message.ts";

/** More batches than the socket's buffer holds: no flood keeps the reader here. */
const MAX_BATCHES = 64;

/**
 * An NFLOG group that wakes nobody: the kernel gathers its samples, and they are read when the agent is awake anyway. Reading leaves no
 * garbage.
 */
export class NflogQueue {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BATCH_BYTES);

  constructor(group: number, copyBytes: number) {
    this.#fd = open(1000);
    bindToGroup(this.#fd, this.#buffer, { group, copyBytes, receiveBytes: 1 << 18, queueThreshold: 100 });
  }

  /** Hands over what has come; the bytes are only valid during the call. */
  drain(take: TakePacket): void {
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const length = receiveNow(this.#fd, this.#buffer);
      if (length <= 0) return;
      eachRecorded(this.#buffer, length, take);
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** Listens to one NFLOG group. The kernel hands up packet headers as the rules' `log` statements say. */
export class NflogListener {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 16);
  #stopped = false;
  /** Messages that could not be read: the kernel's buffer ran over, or the socket broke. */
  errors = 0;

  constructor(group: number, copyBytes: number) {
    this.#fd = open(1000);
    bindToGroup(this.#fd, this.#buffer, { group, copyBytes, receiveBytes: 1 << 20, queueThreshold: 1 });
  }

  /** Calls back for each sample; the bytes are only valid during the call. */
  listen(onSample: (sample: Sample) => void): void {
    const read = () => {
      if (this.#stopped) return;
      fs.read(this.#fd, this.#buffer, 0, this.#buffer.length, null, (error, length) => {
        if (this.#stopped) return;
        if (!error) eachSample(this.#buffer, length, onSample);
        else if (error.code !== "EAGAIN" && error.code !== "EINTR") this.errors++;
        if (this.errors > 1000) return;
        read();
      });
    };
    read();
  }

  close(): void {
    this.#stopped = true;
    // The pending read ends with its timeout and finds the socket closed or itself stopped.
    fs.close(this.#fd, () => {});
  }
}
