import type { ReactNode } from "react";
import { cn } from "./cn.ts";

/** The top of every page: its answer in a sentence, then what may be done. */
export const PageHead = ({
  title,
  children,
  actions,
}: {
  title: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
}) => (
  <div className="flex items-start justify-between gap-x-6 gap-y-3 max-md:flex-col">
    <div className="min-w-0">
      <h1 className="text-xl font-[620] tracking-[-0.012em] text-balance">{title}</h1>
      {children && (
        <div className="num mt-1.5 max-w-[76ch] text-lg text-ink-2 [&_b]:font-[600] [&_b]:text-ink">{children}</div>
      )}
    </div>
    {actions && <div className="flex shrink-0 flex-wrap gap-2 max-md:w-full max-md:*:flex-1">{actions}</div>}
  </div>
);

export const Section = ({
  title,
  aside,
  children,
  className,
}: {
  title: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  className?: string;
}) => (
  <section className={cn("mt-6 min-w-0", className)}>
    <div className="mb-2 flex flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
      <h2 className="font-[620]">{title}</h2>
      {aside !== undefined && <div className="flex flex-wrap items-center gap-x-4 gap-y-0.5 text-ink-3">{aside}</div>}
    </div>
    {children}
  </section>
);

/** One entry of a chart's key. */
export const Key = ({ colour, children, dashed }: { colour: string; children: ReactNode; dashed?: boolean }) => (
  <span className="inline-flex items-center gap-1.5 text-xs text-ink-2">
    <i
      aria-hidden="true"
      className="inline-block size-2.5 rounded-[2px]"
      style={dashed ? { border: `1px dashed ${colour}` } : { background: colour }}
    />
    {children}
  </span>
);
