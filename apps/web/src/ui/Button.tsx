import { Slot } from "radix-ui";
import { type ComponentProps, useId } from "react";
import { cn } from "./cn.ts";

const LOOKS = {
  primary:
    "border-accent bg-accent text-accent-ink font-[550] enabled:hover:brightness-105 enabled:active:brightness-95",
  plain: "border-line-strong bg-surface text-ink enabled:hover:bg-sunken",
  quiet: "border-transparent bg-transparent text-ink-2 enabled:hover:bg-sunken enabled:hover:text-ink",
  danger: "border-critical/40 bg-surface text-critical enabled:hover:bg-critical-soft",
} as const;

type Props = ComponentProps<"button"> & {
  look?: keyof typeof LOOKS;
  /** Why it cannot be used now; says so to everybody and disables it. */
  because?: string;
  asChild?: boolean;
};

export function Button({ look = "plain", because, asChild, className, disabled, type = "button", ...rest }: Props) {
  const id = useId();
  const shape = cn(
    "inline-flex h-8 items-center justify-center gap-2 whitespace-nowrap rounded-md border px-3 leading-5 transition-colors max-md:h-10",
    "disabled:opacity-60 aria-disabled:opacity-60",
    LOOKS[look],
    className,
  );
  if (asChild) return <Slot.Root className={shape} {...rest} />;
  return (
    <>
      <button
        type={type}
        disabled={disabled || because !== undefined}
        title={because}
        aria-describedby={because ? id : undefined}
        className={shape}
        {...rest}
      />
      {because && (
        <span id={id} className="sr-only">
          {because}
        </span>
      )}
    </>
  );
}
