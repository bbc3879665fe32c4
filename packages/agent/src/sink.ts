import fs from "node:fs";
import type { AgentEvent } from "@flowtriq/protocol/event";
import { appendLine, endLastLine, tailOf } from "./append.ts";
import { EXIT_CONFIG, Problem } from "./problem.ts";
import type { Spool } from "./spool.ts";

/** Distributes over a union, so that each event keeps its own fields. */
type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
export type NewEvent = Without<AgentEvent, "id" | "at"> & { at?: string };

/** 122 random bits behind a prefix that tells what it names. */
export const newId = (prefix: string): string => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

export const iso = (epochMs: number): string => new Date(epochMs).toISOString();

/** An event with its name and its moment, before it is told to anybody. */
export const seal = (event: NewEvent): AgentEvent =>
  ({ ...event, id: newId("evt"), at: event.at ?? iso(Date.now()) }) as AgentEvent;

/** What every line of ours begins with. */
const EVENT_MARK = '{"event":"';
/** Where an event of a moment ago must be: thousands of them. */
const TAIL_BYTES = 1 << 20;

/**
 * Where events go, the moment they happen: lines of a file or of standard output, and the spool for the service. A full disk
 * is said on standard error, once until there is room again; the protection goes on.
 */
export class Sink {
  readonly #file: string | undefined;
  #fd: number | undefined;
  readonly #spool: Spool | undefined;
  readonly #onEvent: (event: AgentEvent) => void;
  #complained = false;

  constructor(target: { file?: string; spool?: Spool; onEvent?: (event: AgentEvent) => void }) {
    this.#spool = target.spool;
    this.#onEvent = target.onEvent ?? (() => {});
    this.#file = target.file;
    if (target.file !== undefined) this.#fd = openForAppend(target.file);
    else this.#fd = target.spool ? undefined : 1;
  }

  emit(event: NewEvent): void {
    this.deliver(seal(event));
  }

  deliver(event: AgentEvent): void {
    // The spool first: what it holds and the file does not, a successor finds.
    const spooled = this.#try(() => this.#spool?.add(event));
    const written = this.#try(() => {
      if (this.#fd !== undefined) appendLine(this.#fd, `${JSON.stringify(event)}\n`);
    });
    if (written && spooled) this.#complained = false;
    this.#onEvent(event);
  }

  /**
   * What a predecessor wanted to tell when it ended, and the last that it spooled: only what is not told yet. Whether the service
   * has it nobody here knows; it knows events by their ids.
   */
  deliverOnce(events: AgentEvent[]): void {
    const newest = this.#spool?.newest;
    const wanted = newest && !events.some(({ id }) => id === newest.id) ? [newest, ...events] : events;
    if (wanted.length === 0) return;
    const told = this.#file === undefined ? "" : (tailOf(this.#file, TAIL_BYTES) ?? "");
    for (const event of wanted) {
      if (told.includes(`"${event.id}"`)) this.#try(() => this.#spool?.add(event));
      else this.deliver(event);
    }
  }

  /** Opens the events file anew, for it may have been moved away. When that fails the old one stays open, and it throws a Problem. */
  reopen(): void {
    if (this.#file === undefined) return;
    const fd = openForAppend(this.#file);
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = fd;
  }

  #try(write: () => void): boolean {
    try {
      write();
      return true;
    } catch (error) {
      if (!this.#complained) {
        process.stderr.write(
          `events cannot be written: ${(error as Error).message}. Make room; mitigation goes on meanwhile.\n`,
        );
      }
      this.#complained = true;
      return false;
    }
  }
}

function openForAppend(file: string): number {
  try {
    const fd = fs.openSync(file, "a", 0o640);
    // A predecessor may have been killed in the middle of a line: nobody could read it, nor what would follow it.
    endLastLine(fd, file, EVENT_MARK);
    return fd;
  } catch (error) {
    throw new Problem(
      `cannot write events to ${file}: ${(error as Error).message}`,
      "Give --events a file that can be written.",
      EXIT_CONFIG,
      error,
    );
  }
}
