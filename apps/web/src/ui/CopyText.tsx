"use client";
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./Button.tsx";

/** A command or key to take along. */
export function CopyText({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    // Without TLS browsers offer no clipboard; the text can be selected all the same.
    await navigator.clipboard?.writeText(text);
    setCopied(navigator.clipboard !== undefined);
  };
  return (
    <div className="flex items-start gap-2 rounded-md border border-line bg-sunken p-2 pl-3">
      <textarea
        aria-label={label}
        readOnly
        value={text}
        rows={Math.min(8, Math.ceil(text.length / 70))}
        onFocus={(event) => event.target.select()}
        className="code min-w-0 flex-1 resize-none bg-transparent py-[7px] break-all text-ink outline-offset-4"
      />
      <Button look="quiet" onClick={() => void copy()} aria-label={copied ? "Copied" : "Copy"}>
        {copied ? <Check size={14} aria-hidden="true" /> : <Copy size={14} aria-hidden="true" />}
        <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
      </Button>
    </div>
  );
}
