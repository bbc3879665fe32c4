import fs from "node:fs";
import { AgentEvent } from "@flowtriq/protocol/event";
import { appendLine } from "./append.ts";

/** Events that the service has not acknowledged. Bounded, so that a year without the service does not fill the disk. */
const MAX_EVENTS = 50_000;

/**
 * Events on disk until they are acknowledged: appended as lines, struck out by lines, emptied when nothing is left. A line cut
 * by a crash is skipped; the event before it was whole. What a full disk refused waits in memory, and is written first as soon
 * as there is room.
 */
export class Spool {
  readonly #file: string;
  readonly #pending = new Map<string, AgentEvent>();
  readonly #unwritten = new Set<AgentEvent>();
  #fd: number | undefined;

  constructor(file: string) {
    this.#file = file;
    for (const line of this.#lines()) {
      const entry = parse(line);
      if (entry?.event) this.#pending.set(entry.event.id, entry.event);
      for (const id of entry?.acknowledged ?? []) this.#pending.delete(id);
    }
    try {
      this.#rewrite();
    } catch {
      // A full disk must not keep the agent from starting; what the file holds already is not lost.
      fs.rmSync(`${file}.new`, { force: true });
    }
  }

  get size(): number {
    return this.#pending.size;
  }

  get newest(): AgentEvent | undefined {
    return [...this.#pending.values()].at(-1);
  }

  /** Keeps the event even when the disk refuses it; the caller is told by the exception. One that waits already is not added twice. */
  add(event: AgentEvent): void {
    if (this.#pending.has(event.id)) return;
    this.#pending.set(event.id, event);
    this.#unwritten.add(event);
    if (this.#pending.size > MAX_EVENTS) {
      const [id, oldest] = this.#pending.entries().next().value!;
      this.#pending.delete(id);
      this.#unwritten.delete(oldest);
    }
    this.#write();
  }

  oldest(limit: number): AgentEvent[] {
    const events: AgentEvent[] = [];
    for (const event of this.#pending.values()) {
      if (events.length === limit) break;
      events.push(event);
    }
    return events;
  }

  /** Strikes out what the service has taken. A disk that refuses the stroke only means that it is told once more. */
  acknowledge(ids: string[]): void {
    const known = ids.filter((id) => {
      const event = this.#pending.get(id);
      if (event) this.#unwritten.delete(event);
      return this.#pending.delete(id);
    });
    if (known.length === 0) return;
    try {
      if (this.#pending.size === 0) fs.ftruncateSync(this.#open(), 0);
      else appendLine(this.#open(), `${JSON.stringify({ acknowledged: known })}\n`);
      this.#write();
    } catch {
      // Emptied as soon as all is acknowledged, which needs no room.
    }
  }

  #write(): void {
    for (const event of this.#unwritten) {
      appendLine(this.#open(), `${JSON.stringify({ event })}\n`);
      this.#unwritten.delete(event);
    }
  }

  #open(): number {
    this.#fd ??= fs.openSync(this.#file, "a", 0o600);
    return this.#fd;
  }

  #lines(): string[] {
    try {
      return fs.readFileSync(this.#file, "utf8").split("\n");
    } catch {
      return [];
    }
  }

  /** Compaction: only what is pending, written beside and renamed. */
  #rewrite(): void {
    const text = [...this.#pending.values()].map((event) => `${JSON.stringify({ event })}\n`).join("");
    fs.writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
    fs.renameSync(`${this.#file}.new`, this.#file);
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function parse(line: string): { event?: AgentEvent; acknowledged?: string[] } | undefined {
  if (line === "") return undefined;
  try {
    const entry = JSON.parse(line) as { event?: unknown; acknowledged?: unknown };
    const event = AgentEvent.safeParse(entry.event).data;
    const acknowledged = Array.isArray(entry.acknowledged) ? entry.acknowledged.map(String) : undefined;
    return { event, acknowledged };
  } catch {
    return undefined;
  }
}
