import { LiveFrame } from "@flowtriq/protocol/wire";

export type LiveState = {
  /** `live` while the stream is open; `off` between attempts. */
  connection: "connecting" | "live" | "off";
  paused: boolean;
  /** When frames last came, to the second. */
  heardAt: number | undefined;
};

type Options = {
  /** Of the stream, with a new ticket. */
  address: () => Promise<string>;
  onFrames: (frames: LiveFrame[]) => void;
  onState: (state: LiveState) => void;
};

/** A hidden tab gets no animation frames; what piles up meanwhile is bounded, the newest kept. */
const MOST_WAITING = 20_000;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

/**
 * One event stream of a tab. Frames are handed on at most once per animation frame. A ticket is good for one
 * connection, so each attempt takes a new one.
 */
export function openLive({ address, onFrames, onState }: Options) {
  let state: LiveState = { connection: "connecting", paused: false, heardAt: undefined };
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;
  let waiting: LiveFrame[] = [];
  let scheduled = false;

  const change = (next: Partial<LiveState>) => {
    state = { ...state, ...next };
    onState(state);
  };

  const flush = () => {
    scheduled = false;
    const frames = waiting;
    waiting = [];
    if (closed || state.paused || frames.length === 0) return;
    const now = Date.now();
    if (now - (state.heardAt ?? 0) >= 900) change({ heardAt: now });
    onFrames(frames);
  };

  const receive = (event: MessageEvent<string>) => {
    const frame = LiveFrame.safeParse(safeJson(event.data));
    if (!frame.success) return;
    waiting.push(frame.data);
    if (waiting.length > MOST_WAITING) waiting = waiting.slice(-MOST_WAITING / 2);
    if (scheduled) return;
    scheduled = true;
    if (document.hidden) setTimeout(flush, 250);
    else requestAnimationFrame(flush);
  };

  const connect = async () => {
    clearTimeout(retry);
    change({ connection: "connecting" });
    try {
      const url = await address();
      if (closed) return;
      source = new EventSource(url);
      source.onopen = () => {
        failures = 0;
        change({ connection: "live" });
      };
      source.onmessage = receive;
      source.onerror = again;
    } catch {
      again();
    }
  };

  const again = () => {
    source?.close();
    if (closed) return;
    change({ connection: "off" });
    retry = setTimeout(() => void connect(), RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  };

  void connect();
  return {
    pause: (paused: boolean) => {
      waiting = [];
      change({ paused });
    },
    close: () => {
      closed = true;
      clearTimeout(retry);
      source?.close();
    },
  };
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
