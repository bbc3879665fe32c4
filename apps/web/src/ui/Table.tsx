import Link from "next/link";
import type { ReactNode } from "react";
import { cn } from "./cn.ts";

export type Column<T> = {
  key: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** Numbers stand on the right. */
  right?: boolean;
  /** Said before the value where rows are stacked on a phone; absent: the value speaks for itself. */
  phone?: string;
  className?: string;
};

/** Rows of things to compare. On a phone each row becomes a block: its first column, then the others in a line. */
export function Table<T>({
  caption,
  columns,
  rows,
  rowKey,
  href,
  fresh,
}: {
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  href?: (row: T) => string;
  /** Rows that came while the page was open. */
  fresh?: (row: T) => boolean;
}) {
  return (
    <table className="num w-full border-collapse">
      <caption className="sr-only">{caption}</caption>
      <thead className="max-md:sr-only">
        <tr>
          {columns.map((column) => (
            <th
              key={column.key}
              scope="col"
              className={cn(
                "border-b border-line py-1.5 pr-5 text-left text-xs font-normal whitespace-nowrap text-ink-3 last:pr-0",
                column.right && "text-right",
              )}
            >
              {column.head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={rowKey(row)}
            className={cn(
              "border-b border-line max-md:flex max-md:flex-wrap max-md:gap-x-3.5 max-md:py-2",
              href && "relative hover:bg-sunken/60",
              fresh?.(row) && "bg-critical-soft/50",
            )}
          >
            {columns.map((column, index) => {
              const cell = column.cell(row);
              return (
                <td
                  key={column.key}
                  className={cn(
                    "py-2 pr-5 align-top last:pr-0 max-md:p-0",
                    index === 0 ? "max-md:w-full" : "max-md:text-xs max-md:leading-5 max-md:text-ink-2",
                    column.right && "text-right whitespace-nowrap",
                    column.className,
                  )}
                >
                  {column.phone && <span className="text-ink-3 md:hidden">{column.phone} </span>}
                  {index === 0 && href ? (
                    <Link href={href(row)} prefetch={false} className="after:absolute after:inset-0">
                      {cell}
                    </Link>
                  ) : (
                    cell
                  )}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
