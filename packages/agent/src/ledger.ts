import type { AgentEvent } from "@flowtriq/protocol/event";
import { type NewEvent, type Sink, seal } from "./sink.ts";
import type { OpenAttacks, StateDir } from "./state.ts";

/** What the agent is doing, written down before it is told: whatever ends it in between, a successor tells it, and once. */
export class Ledger {
  readonly #state: StateDir;
  readonly #sink: Sink;
  readonly #open: () => Omit<OpenAttacks, "events">;
  #saidFull = false;

  /** `open`: the attacks that are open now, and which of them nothing is done about. */
  constructor(state: StateDir, sink: Sink, open: () => Omit<OpenAttacks, "events">) {
    this.#state = state;
    this.#sink = sink;
    this.#open = open;
  }

  tell(news: NewEvent[]): void {
    const events = news.map(seal);
    this.save(events);
    for (const event of events) this.#sink.deliver(event);
    if (events.length > 0) this.save();
  }

  save(events: AgentEvent[] = []): void {
    this.quietly(() => this.#state.writeAttacks({ ...this.#open(), events }));
  }

  /** What a predecessor left; what it could not tell any more is told first. */
  inherit(): OpenAttacks | undefined {
    const left = this.#state.readAttacks();
    this.#sink.deliverOnce(left?.events ?? []);
    return left;
  }

  /** State on disk helps a successor; not being able to write it must not stop the protection. */
  quietly(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!this.#saidFull) {
        this.#sink.emit({
          event: "agent.warning",
          code: "state_not_saved",
          message: `State cannot be saved: ${(error as Error).message}`.slice(0, 500),
        });
      }
      this.#saidFull = true;
    }
  }
}
