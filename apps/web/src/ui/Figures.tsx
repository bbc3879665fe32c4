import type { ReactNode } from "react";

export type Figure = { label: string; value: ReactNode; note?: ReactNode; exact?: string };

/** Up to four numbers that answer the page's question. Two by two on a phone. */
export const Figures = ({ figures }: { figures: Figure[] }) => (
  <dl className="num mt-5 mb-2 grid grid-cols-2 border-y border-line md:grid-cols-4">
    {figures.map(({ label, value, note, exact }) => (
      <div
        key={label}
        className="min-w-0 border-line py-3.5 pr-4 pl-3 even:border-l nth-[n+3]:max-md:border-t odd:max-md:pl-0 md:not-first:border-l md:pl-4 md:first:pl-0"
      >
        <dt className="label">{label}</dt>
        <dd
          className="mt-1 flex flex-wrap items-baseline gap-x-1.5 text-2xl font-[600] tracking-[-0.02em]"
          title={exact}
        >
          {value}
          {note !== undefined && (
            <small className="text-sm font-normal tracking-normal text-ink-2 max-md:w-full">{note}</small>
          )}
        </dd>
      </div>
    ))}
  </dl>
);
