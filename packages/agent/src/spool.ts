import fs from "node:fs";
import { AgentEvent } from "@flowtriq/protocol/event";

/** Events that the service has not acknowledged. Bounded, so that a year without the service does not fill the disk. */
const MAX_EVENTS = 50_000;

/**
 * Events on disk until they are acknowledged: appended as lines, struck out by lines, emptied when nothing is left. A line cut
 * by a crash is skipped; the event before it was whole.
 */
export class Spool {
  readonly #file: string;
  readonly #pending = new Map<string, AgentEvent>();
  #fd: number;

  constructor(file: string) {
    this.#file = file;
    for (const line of this.#lines()) {
      const entry = parse(line);
      if (entry?.event) this.#pending.set(entry.event.id, entry.event);
      for (const id of entry?.acknowledged ?? []) this.#pending.delete(id);
    }
    this.#fd = fs.openSync(file, "a", 0o600);
    this.#rewrite();
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Keeps the event even when the disk refuses it; the caller is told by the exception. */
  add(event: AgentEvent): void {
    this.#pending.set(event.id, event);
    if (this.#pending.size > MAX_EVENTS) this.#pending.delete(this.#pending.keys().next().value!);
    fs.writeSync(this.#fd, `${JSON.stringify({ event })}\n`);
  }

  oldest(limit: number): AgentEvent[] {
    const events: AgentEvent[] = [];
    for (const event of this.#pending.values()) {
      if (events.length === limit) break;
      events.push(event);
    }
    return events;
  }

  acknowledge(ids: string[]): void {
    const known = ids.filter((id) => this.#pending.delete(id));
    if (known.length === 0) return;
    if (this.#pending.size === 0) fs.ftruncateSync(this.#fd, 0);
    else fs.writeSync(this.#fd, `${JSON.stringify({ acknowledged: known })}\n`);
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
    fs.closeSync(this.#fd);
    this.#fd = fs.openSync(this.#file, "a", 0o600);
  }

  close(): void {
    fs.closeSync(this.#fd);
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
