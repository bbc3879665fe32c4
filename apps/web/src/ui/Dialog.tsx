"use client";
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { cn } from "./cn.ts";

/** The browser's own modal dialog: focus trap, Escape and inert background come with it. */
export function Dialog({
  open,
  onClose,
  title,
  children,
  className,
  bare,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  className?: string;
  /** Without heading and padding; the title is only for screen readers. */
  bare?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (open && !element?.open) element?.showModal();
    if (!open) element?.close();
  }, [open]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it; the click is that on the backdrop
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
      className={cn(
        "m-auto mt-[12vh] w-[min(560px,calc(100vw-24px))] rounded-[10px] border border-line bg-surface p-0 text-ink shadow-2xl max-md:mt-4",
        className,
      )}
    >
      {open && (
        <div className={bare ? undefined : "p-5"}>
          <div className={bare ? "sr-only" : "mb-4 flex items-center justify-between gap-4"}>
            <h2 id={id} className="text-lg font-[620]">
              {title}
            </h2>
            <button
              type="button"
              onClick={onClose}
              aria-label="Close"
              className="rounded-md p-1 text-ink-3 hover:text-ink"
            >
              <X size={16} aria-hidden="true" />
            </button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
