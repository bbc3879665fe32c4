import type { ReactNode } from "react";
import { cn } from "./cn.ts";

export type Tone = "critical" | "high" | "ok" | "accent" | "neutral";

const TONES: Record<Tone, string> = {
  critical: "bg-critical-soft text-critical",
  high: "bg-high-soft text-high",
  ok: "bg-ok-soft text-ok",
  accent: "bg-accent-soft text-accent",
  neutral: "bg-sunken text-ink-2",
};

/** A state in one word. The tone repeats what the word says. */
export const Chip = ({ tone = "neutral", children, title }: { tone?: Tone; children: ReactNode; title?: string }) => (
  <span
    title={title}
    className={cn(
      "inline-flex items-center gap-1.5 whitespace-nowrap rounded-full px-[9px] py-px text-xs leading-[18px] font-[550]",
      TONES[tone],
    )}
  >
    {children}
  </span>
);
