"use client";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { Button } from "./Button.tsx";
import { chartOptions, type Decoration, floorOf, type Line } from "./chart-options.ts";
import { clock, exactUtc } from "./format.ts";

export type { Line } from "./chart-options.ts";

type Props = Decoration & {
  /** What a screen reader is told instead of the picture. */
  label: string;
  /** Seconds since the epoch, ascending; one value per entry in each line. */
  at: readonly number[];
  lines: readonly Line[];
  format: (value: number) => string;
  scale?: "linear" | "log";
  /** The span shown when nothing is zoomed; absent: that of the data. */
  window?: { from: number; to: number };
  height?: number;
  asTable?: boolean;
};

const TABLE_ROWS = 120;

/** Series over time, drawn by uPlot: drag to zoom, double click to go back. Colours follow the theme. */
export function TimeChart(props: Props) {
  const { label, at, lines, format, scale = "linear", height = 220, window: span, asTable } = props;
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(null);
  const latest = useRef(props);
  latest.current = props;
  const [zoom, setZoom] = useState<{ from: number; to: number }>();
  const shown = useRef(span);
  shown.current = zoom ?? span;

  const floor = useMemo(() => (scale === "log" ? floorOf(lines) : 0), [scale, lines]);
  const data = useMemo<uPlot.AlignedData>(() => {
    const lift = (value: number | null) => (value === null ? null : Math.max(value, floor));
    return [
      [...at],
      ...lines.map(({ values, on }) =>
        values.map((value, index) => {
          const under = on !== undefined && scale === "linear" ? (lines[on]?.values[index] ?? 0) : 0;
          return lift(value === null ? null : value + under);
        }),
      ),
    ];
  }, [at, lines, scale, floor]);
  const structure = `${scale}/${floor}/${height}/${lines.map(({ name }) => name).join()}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: data and decorations are read when drawing; only a new structure needs a new chart
  useEffect(() => {
    const element = host.current;
    if (!element || asTable) return;
    const options = chartOptions({
      lines: () => latest.current.lines,
      decoration: () => latest.current,
      span: () => shown.current,
      format,
      scale,
      floor,
      width: Math.max(200, element.clientWidth),
      height,
      onZoom: (from, to) => setZoom({ from, to }),
      onCursor: (index, left) => pointAt(tip.current, latest.current, index, left, element.clientWidth),
    });
    const made = new uPlot(options, data, element);
    chart.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: Math.max(200, element.clientWidth), height }));
    resize.observe(element);
    const theme = new MutationObserver(() => made.redraw());
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      resize.disconnect();
      theme.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [structure, asTable]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the span and the marks are part of what is drawn
  useEffect(() => {
    chart.current?.setData(data, true);
  }, [data, zoom, span?.from, span?.to, props.marks, props.bands, props.threshold]);

  if (asTable) return <ChartTable {...props} />;
  return (
    <div className="relative">
      <div role="img" aria-label={label} ref={host} style={{ height }} onDoubleClick={() => setZoom(undefined)} />
      <div
        ref={tip}
        aria-hidden="true"
        hidden
        className="num pointer-events-none absolute top-1 z-10 rounded-md border border-line bg-surface px-2.5 py-1.5 text-xs whitespace-pre shadow-sm"
      />
      {zoom && (
        <Button className="absolute top-1 right-1 h-6 px-2 text-xs" onClick={() => setZoom(undefined)}>
          Show all
        </Button>
      )}
    </div>
  );
}

function pointAt(
  tip: HTMLElement | null,
  { at, lines, format }: Props,
  index: number | null | undefined,
  left: number,
  width: number,
) {
  if (!tip) return;
  const time = index === null || index === undefined ? undefined : at[index];
  tip.hidden = time === undefined;
  if (time === undefined || index === null || index === undefined) return;
  const rows = lines.map(({ name, values }) => {
    const value = values[index];
    return `${name}  ${value === null || value === undefined ? "unknown" : format(value)}`;
  });
  tip.textContent = [clock(new Date(time * 1000), true), ...rows].join("\n");
  tip.style.left = left > width / 2 ? `${left - tip.offsetWidth - 8}px` : `${left + 12}px`;
}

function ChartTable({ label, at, lines, format, height = 220 }: Props) {
  const every = Math.max(1, Math.ceil(at.length / TABLE_ROWS));
  const rows = at.flatMap((time, index) => (index % every === 0 ? [{ time, index }] : []));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section aria-label={label} tabIndex={0} className="overflow-auto border-y border-line" style={{ height }}>
      <table className="num w-full text-xs">
        <thead className="sticky top-0 bg-canvas text-left text-ink-3">
          <tr>
            <th scope="col" className="py-1.5 font-normal">
              Time
            </th>
            {lines.map(({ name }) => (
              <th key={name} scope="col" className="py-1.5 text-right font-normal">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, index }) => (
            <tr key={time} className="border-t border-line">
              <td className="py-1">{exactUtc(new Date(time * 1000))}</td>
              {lines.map(({ name, values }) => {
                const value = values[index];
                return (
                  <td key={name} className="py-1 text-right">
                    {value === null || value === undefined ? "unknown" : format(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
