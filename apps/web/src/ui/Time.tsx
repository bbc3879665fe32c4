"use client";
import { useNow } from "./clock.ts";
import { ago, duration, exactUtc } from "./format.ts";

/** Server and browser may be a second and a time zone apart: the words of a time are not compared on hydration. */
const local = (at: Date): string =>
  `${exactUtc(at)}\n${at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "long" })}`;

/** "3 h ago"; the exact time, UTC and local, on hover. */
export function Ago({ at }: { at: Date }) {
  const now = useNow();
  return (
    <time dateTime={at.toISOString()} title={local(at)} suppressHydrationWarning className="whitespace-nowrap">
      {ago(now - at.getTime())}
    </time>
  );
}

/** How long something has been going on, counting. */
export function Since({ at }: { at: Date }) {
  const now = useNow();
  return <span suppressHydrationWarning>{duration(Math.max(0, Math.floor((now - at.getTime()) / 1000) * 1000))}</span>;
}
