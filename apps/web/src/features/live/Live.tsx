"use client";
import type { LiveFrame } from "@flowtriq/protocol/wire";
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useTRPC, useTRPCClient } from "../../trpc.ts";
import { type LiveState, openLive } from "./connection.ts";

type Listener = (frames: LiveFrame[]) => void;
type Live = LiveState & { pause: (paused: boolean) => void; listen: (listener: Listener) => () => void };

const Context = createContext<Live | undefined>(undefined);

export function useLive(): Live {
  const live = useContext(Context);
  if (!live) throw new Error("useLive outside of LiveProvider");
  return live;
}

/** Calls with what came since the last animation frame. */
export function useLiveFrames(listener: Listener) {
  const { listen } = useLive();
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => listen((frames) => latest.current(frames)), [listen]);
}

/** Refetches follow one another no faster than this: an attack on many nodes is one refresh, not many. */
const REFETCH_EVERY_MS = 300;

/** The tab's one live connection, and the refetching of what its frames say is new. */
export function LiveProvider({ url, children }: { url: string; children: ReactNode }) {
  const client = useTRPCClient();
  const trpc = useTRPC();
  const queries = useQueryClient();
  const [state, setState] = useState<LiveState>({ connection: "connecting", paused: false, heardAt: undefined });
  const listeners = useRef(new Set<Listener>());
  const connection = useRef<ReturnType<typeof openLive>>(null);

  useEffect(() => {
    const refresh = throttled(REFETCH_EVERY_MS, (nouns: Set<"incident" | "node" | "traffic">) => {
      if (nouns.has("incident")) {
        for (const noun of [trpc.incident, trpc.overview, trpc.node]) void queries.invalidateQueries(noun.pathFilter());
      }
      if (nouns.has("traffic")) void queries.invalidateQueries(trpc.traffic.pathFilter());
      if (nouns.has("node")) {
        for (const noun of [trpc.node, trpc.policy, trpc.overview]) void queries.invalidateQueries(noun.pathFilter());
      }
    });
    let open = false;
    const live = openLive({
      address: async () => {
        return addressed(url, await client.live.ticket.mutate());
      },
      onFrames: (frames) => {
        for (const listener of listeners.current) listener(frames);
        const nouns = new Set(frames.flatMap(({ type }) => (type === "observation" ? [] : [type])));
        if (nouns.size > 0) refresh(nouns);
      },
      onState: (next) => {
        // What happened before this connection, since the page or the last one, was not heard.
        if (next.connection === "live" && !open && !next.paused) refresh(new Set(["incident", "node", "traffic"]));
        open = next.connection === "live";
        setState(next);
      },
    });
    connection.current = live;
    return () => live.close();
  }, [client, queries, trpc, url]);

  const value = useMemo<Live>(
    () => ({
      ...state,
      pause: (paused) => {
        connection.current?.pause(paused);
        if (!paused) void queries.invalidateQueries();
      },
      listen: (listener) => {
        listeners.current.add(listener);
        return () => listeners.current.delete(listener);
      },
    }),
    [state, queries],
  );
  return <Context value={value}>{children}</Context>;
}

function addressed(url: string, ticket: string): string {
  const base = url.startsWith(":")
    ? `${location.protocol}//${location.hostname}${url}`
    : new URL(url, location.origin).href;
  const address = new URL(base);
  address.searchParams.set("ticket", ticket);
  return address.href;
}

/** Runs at once, then at most once in `ms` with all that was asked meanwhile. */
function throttled<T>(ms: number, run: (wanted: Set<T>) => void) {
  let next = 0;
  let waiting: Set<T> | undefined;
  return (wanted: Set<T>) => {
    if (waiting) {
      for (const item of wanted) waiting.add(item);
      return;
    }
    const now = performance.now();
    if (now >= next) {
      next = now + ms;
      run(wanted);
      return;
    }
    waiting = new Set(wanted);
    setTimeout(() => {
      const all = waiting ?? new Set();
      waiting = undefined;
      next = performance.now() + ms;
      run(all);
    }, next - now);
  };
}
