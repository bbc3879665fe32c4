"use client";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLive, useLiveFrames } from "./Live.tsx";
import { type Second, trafficLog } from "./traffic.ts";

/** The last `keepSeconds` of traffic: what the server remembers, then what the live stream says, second by second. */
export function useTraffic(history: readonly Second[] | undefined, keepSeconds: number, nodeId?: string): Second[] {
  const log = useRef<ReturnType<typeof trafficLog>>(null);
  log.current ??= trafficLog(keepSeconds);
  const { paused } = useLive();
  const [heard, setHeard] = useState(0);
  useLiveFrames((frames) => {
    const observations = frames.flatMap((frame) =>
      frame.type === "observation" && (nodeId === undefined || frame.nodeId === nodeId) ? [frame] : [],
    );
    if (observations.length === 0) return;
    log.current?.add(observations, Date.now() / 1000);
    setHeard((n) => n + 1);
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: `heard` says that the log has changed
  const joined = useMemo(
    () => log.current?.after(history ?? [], Date.now() / 1000, nodeId === undefined ? 1 : 0) ?? [],
    [history, heard, nodeId],
  );
  const [held, setHeld] = useState(joined);
  useEffect(() => {
    if (!paused) setHeld(joined);
  }, [joined, paused]);
  return paused ? held : joined;
}

/** The numbers of the last second, per node. */
export function useLatest() {
  const [latest, setLatest] = useState<ReadonlyMap<string, NodeNow>>(new Map());
  useLiveFrames((frames) => {
    const observed = frames.flatMap((frame) => (frame.type === "observation" ? [frame] : []));
    if (observed.length === 0) return;
    setLatest((was) => new Map([...was, ...observed.map((frame) => [frame.nodeId, frame] as const)]));
  });
  return latest;
}

export type NodeNow = {
  at: string;
  pps: number;
  bps: number;
  droppedPps: number;
  passedPps: number;
  tunnels: number | null;
};
