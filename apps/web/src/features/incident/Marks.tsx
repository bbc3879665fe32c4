import type { Severity } from "@flowtriq/protocol/vector";
import { cn } from "../../ui/cn.ts";
import { SEVERITY_WORDS } from "./words.ts";

const SHAPES: Record<Severity, { colour: string; path: string }> = {
  high: { colour: "text-critical", path: "M1 1h8v8H1z" },
  medium: { colour: "text-high", path: "M5 0.5 9.5 9h-9z" },
  low: { colour: "text-ink-3", path: "M5 1a4 4 0 1 0 0 8 4 4 0 0 0 0-8z" },
};

/** Severity as colour, shape and word; the word is read aloud and shown on hover. */
export function SeverityMark({ severity, open }: { severity: Severity; open?: boolean }) {
  const { colour, path } = SHAPES[severity];
  return (
    <svg
      role="img"
      aria-label={`${SEVERITY_WORDS[severity]} severity`}
      viewBox="0 0 10 10"
      className={cn("mr-2 inline-block size-2.5 shrink-0 align-[-0.5px]", colour)}
    >
      <title>{`${SEVERITY_WORDS[severity]} severity`}</title>
      <path
        d={path}
        fill={open ? "currentColor" : "none"}
        stroke="currentColor"
        strokeWidth={1.5}
        strokeLinejoin="round"
      />
    </svg>
  );
}

/** A value or the word "unknown", which is an answer too. */
export const Known = <T,>({
  value,
  show,
  because,
  word = "unknown",
}: {
  value: T | null;
  show: (value: T) => React.ReactNode;
  because?: string;
  word?: string;
}) =>
  value === null ? (
    <span className="text-ink-3" title={because}>
      {word}
    </span>
  ) : (
    show(value)
  );
