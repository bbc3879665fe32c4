"use client";
import { Pause, Play } from "lucide-react";
import { useNow } from "../../ui/clock.ts";
import { cn } from "../../ui/cn.ts";
import { duration } from "../../ui/format.ts";
import { useLive } from "../live/Live.tsx";

export const STALE_AFTER_MS = 30_000;

/** Whether what is on screen is what is happening, and a way to hold it still. */
export function LiveState() {
  const { connection, paused, heardAt, pause } = useLive();
  const now = useNow();
  const silentMs = heardAt === undefined ? undefined : Math.max(0, now - heardAt);
  const stale = silentMs !== undefined && silentMs > STALE_AFTER_MS;
  const [words, tone, hint] = paused
    ? ["Paused", "text-ink-2", "Pages stand still. Press to go on."]
    : connection !== "live"
      ? [
          connection === "off" ? "Reconnecting" : "Connecting",
          "text-high",
          "The live stream is not open; pages refresh once a minute.",
        ]
      : stale
        ? [
            `Silent ${duration(Math.floor(silentMs / 1000) * 1000)}`,
            "text-high",
            "The stream is open, but no node has reported.",
          ]
        : [
            "Live",
            "text-ok",
            heardAt === undefined
              ? "Waiting for the first report."
              : "Heard from a node within the last second or two.",
          ];
  return (
    <button
      type="button"
      onClick={() => pause(!paused)}
      title={hint}
      aria-pressed={paused}
      className={cn("num group flex h-8 items-center gap-1.5 rounded-md px-2 hover:bg-sunken max-md:h-10", tone)}
    >
      <i
        aria-hidden="true"
        className={cn("size-[7px] rounded-full bg-current group-hover:hidden", stale && "rounded-none rotate-45")}
      />
      {paused ? (
        <Play size={11} aria-hidden="true" className="-mx-0.5 hidden group-hover:block" />
      ) : (
        <Pause size={11} aria-hidden="true" className="-mx-0.5 hidden group-hover:block" />
      )}
      <span className={cn(connection === "live" && !stale && !paused && "max-[400px]:sr-only")}>{words}</span>
      <span className="sr-only">{paused ? ", press to go on" : ", press to pause"}</span>
    </button>
  );
}
