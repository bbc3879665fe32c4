"use client";
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button.tsx";

/** A command or key to take along. */
export function CopyText({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <div className="flex items-start gap-2 rounded-md border border-line bg-sunken p-2 pl-3">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long command scrolls, and what scrolls must be reachable by keyboard */}
      <pre aria-label={label} tabIndex={0} className="code min-w-0 flex-1 py-[7px] break-all whitespace-pre-wrap text-ink">
        {text}
      </pre>
      <Button look="quiet" onClick={() => void copy()} aria-label={copied ? "Copied" : "Copy"}>
        {copied ? <Check size={14} aria-hidden="true" /> : <Copy size={14} aria-hidden="true" />}
        <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
      </Button>
    </div>
  );
}
