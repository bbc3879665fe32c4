import { closeSync, openSync, readSync, watch } from "node:fs";
import { AgentEvent, type AgentEventOf, isVector } from "@flowtriq/protocol/event";

/** Lines wait this long, so that what is heard a little late still stands at its place in time. */
const SETTLE_MS = 400;

/** Follows the agent's events file from its present end. Calls back for each whole line; stops with `close`. */
export function followEvents(file: string, onEvent: (event: AgentEvent) => void): { close(): void } {
  closeSync(openSync(file, "a"));
  const descriptor = openSync(file, "r");
  const chunk = Buffer.alloc(1 << 16);
  let rest = "";
  const read = () => {
    for (let length = -1; length !== 0; ) {
      length = readSync(descriptor, chunk, 0, chunk.length, null);
      rest += chunk.toString("utf8", 0, length);
    }
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onEvent(AgentEvent.parse(JSON.parse(line)));
  };
  const watcher = watch(file, read);
  read();
  return {
    close() {
      watcher.close();
      closeSync(descriptor);
    },
  };
}

/** What happened to one attack, in milliseconds since its first packet. Every line is something that was seen, when it was seen. */
export class Timeline {
  readonly #print: (line: string) => void;
  #zero: number | undefined;
  #waiting: { at: number; words: string }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** `at` and all later times: milliseconds since the epoch. */
  begin(at: number, words: string): void {
    this.flush();
    this.#zero = at;
    this.add(at, words);
  }

  add(at: number, words: string): void {
    this.#waiting.push({ at, words });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), SETTLE_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    const lines = this.#waiting.sort((a, b) => a.at - b.at);
    this.#waiting = [];
    for (const { at, words } of lines) this.#print(`${milliseconds(at - (this.#zero ?? at)).padStart(12)}  ${words}`);
  }
}

const milliseconds = (time: number) => `${time >= 0 ? "+" : "−"}${grouped(Math.abs(time))} ms`;
export const grouped = (value: number) => Math.round(value).toLocaleString("en-US");

/** When what an event tells of happened: an attack is over when it was last seen, which is known only after a quiet time. */
export const momentOf = (event: AgentEvent): number =>
  Date.parse(event.event === "attack.ended" ? event.lastSeenAt : event.at);

/** What an event means to a person who watches; undefined for what need not be said. */
export function inWords(event: AgentEvent): string | undefined {
  switch (event.event) {
    case "attack.started":
      return `incident opened: ${grouped(event.pps)} packets/s on ${event.lane}, threshold ${grouped(event.thresholdPps)}`;
    case "attack.classified":
      return `classified: ${event.vector}${isVector(event.vector) ? "" : " (no attack)"}, ${percent(event.confidence)} sure`;
    case "mitigation.applied":
      return `${event.dryRun ? "rules active, counting only" : "rules active"}: ${event.mitigations.map((one) => one.words).join("; ")}`;
    case "mitigation.removed":
      return `rules withdrawn (${event.reason})${met(event.hits)}`;
    case "attack.ended":
      return `attack over: ${ended(event)}`;
    case "agent.warning":
      return `warning ${event.code}: ${event.message}`;
    default:
      return undefined;
  }
}

const met = (hits: AgentEventOf<"mitigation.removed">["hits"]) =>
  hits.length === 0 ? "" : `: they met ${grouped(hits.reduce((sum, hit) => sum + hit.packets, 0))} packets`;

function ended({ packets, passedPackets, peakPps }: AgentEventOf<"attack.ended">): string {
  return `${grouped(packets)} packets, ${grouped(passedPackets)} of them passed; peak ${grouped(peakPps)} packets/s`;
}

const percent = (share: number) => `${Math.round(share * 100)} %`;
