import fs from "node:fs";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { Problem } from "./problem.ts";
import type { Spool } from "./spool.ts";

/** Distributes over a union, so that each event keeps its own fields. */
type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
export type NewEvent = Without<AgentEvent, "id" | "at"> & { at?: string };

/** 122 random bits behind a prefix that tells what it names. */
export const newId = (prefix: string): string => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

export const iso = (epochMs: number): string => new Date(epochMs).toISOString();

/**
 * Where events go, the moment they happen: lines of a file or of standard output, and the spool for the service. A full disk
 * is said once on standard error; the protection goes on.
 */
export class Sink {
  readonly #fd: number | undefined;
  readonly #spool: Spool | undefined;
  readonly #onEvent: () => void;
  #complained = false;

  constructor(target: { file?: string; spool?: Spool; onEvent?: () => void }) {
    this.#spool = target.spool;
    this.#onEvent = target.onEvent ?? (() => {});
    if (target.file !== undefined) this.#fd = openForAppend(target.file);
    else this.#fd = target.spool ? undefined : 1;
  }

  emit(event: NewEvent): void {
    const whole = { ...event, id: newId("evt"), at: event.at ?? iso(Date.now()) } as AgentEvent;
    try {
      if (this.#fd !== undefined) fs.writeSync(this.#fd, `${JSON.stringify(whole)}\n`);
    } catch (error) {
      this.#complain(error);
    }
    try {
      this.#spool?.add(whole);
    } catch (error) {
      this.#complain(error);
    }
    this.#onEvent();
  }

  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    process.stderr.write(
      `events cannot be written: ${(error as Error).message}. Make room; mitigation goes on meanwhile.\n`,
    );
  }
}

function openForAppend(file: string): number {
  try {
    return fs.openSync(file, "a", 0o640);
  } catch (error) {
    throw new Problem(
      `cannot write events to ${file}: ${(error as Error).message}`,
      "Give --events a file that can be written.",
      2,
      error,
    );
  }
}
