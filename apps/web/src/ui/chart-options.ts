import type uPlot from "uplot";
import { clock } from "./format.ts";

export type Line = {
  name: string;
  values: readonly (number | null)[];
  /** Name of a theme variable, as `--data-drop`. */
  colour: string;
  /** Opacity of the area below. */
  fill?: number;
  /** Index of the line on which this one stands (linear scale only): its area is the part above. */
  on?: number;
};

/** What stands over the lines: moments, spans and a level. Seconds since the epoch. */
export type Decoration = {
  marks?: readonly { at: number; label: string }[];
  bands?: readonly { from: number; to: number }[];
  threshold?: number;
};

type Wanted = {
  lines: () => readonly Line[];
  decoration: () => Decoration;
  span: () => { from: number; to: number } | undefined;
  format: (value: number) => string;
  scale: "linear" | "log";
  floor: number;
  width: number;
  height: number;
  onZoom: (from: number, to: number) => void;
  onCursor: (index: number | null | undefined, left: number) => void;
};

/** Longest hole over which a line is drawn, as the distance of its neighbours. */
const BRIDGED_SECONDS = 4;

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const alpha = (name: string, share: number): string => `color-mix(in srgb, ${css(name)} ${share * 100}%, transparent)`;
const FONT = () => `11px ${css("--font")}`;

/** The power of ten under the quietest usual value: a log scale has no zero. */
export function floorOf(lines: readonly Line[]): number {
  const positive = lines
    .flatMap(({ values }) => values.filter((value): value is number => value !== null && value > 0))
    .sort((a, b) => a - b);
  const quiet = positive[Math.floor(positive.length * 0.1)] ?? 10;
  return 10 ** Math.max(0, Math.min(3, Math.floor(Math.log10(quiet))));
}

/** 0 · 500 · 1 k · 2.5 M */
function tick(value: number): string {
  for (const [size, prefix] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const)
    if (value >= size) return `${Number((value / size).toFixed(1))} ${prefix}`;
  return String(Number(value.toFixed(1)));
}

/** A y scale never hugs the noise of an idle node: it shows at least ten. */
const ceiling = (max: number | null, threshold: number | undefined, log: boolean): number => {
  const top = Math.max(10, max ?? 0, threshold ?? 0);
  return log ? 10 ** Math.ceil(Math.log10(top * 1.15)) : top * 1.12;
};

export function chartOptions(wanted: Wanted): uPlot.Options {
  const log = wanted.scale === "log";
  return {
    width: wanted.width,
    height: wanted.height,
    padding: [14, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 6, width: 0, fill: (_, index) => css(wanted.lines()[index - 1]?.colour ?? "--ink") },
      drag: { x: true, y: false, setScale: false },
    },
    scales: {
      x: {
        time: true,
        range: (_, min, max) => {
          const span = wanted.span();
          return span ? [span.from, span.to] : [min ?? 0, max ?? 1];
        },
      },
      y: {
        distr: log ? 3 : 1,
        range: (_, _min, max) => [log ? wanted.floor : 0, ceiling(max, wanted.decoration().threshold, log)],
      },
    },
    axes: [
      {
        stroke: () => css("--ink-3"),
        font: FONT(),
        grid: { show: false },
        ticks: { show: false },
        size: 24,
        gap: 6,
        space: 90,
        values: (_, splits) => {
          const step = (splits[1] ?? 0) - (splits[0] ?? 0);
          return splits.map((at) => clock(new Date(at * 1000), step < 60));
        },
      },
      {
        stroke: () => css("--ink-3"),
        font: FONT(),
        grid: { stroke: () => css("--line"), width: 1 },
        ticks: { show: false },
        size: 48,
        gap: 8,
        space: 34,
        ...(log && {
          splits: (_: uPlot, _axis: number, min: number, max: number) => {
            const powers: number[] = [];
            for (let power = min; power <= max * 1.001; power *= 10) powers.push(power);
            return powers;
          },
          filter: (_: uPlot, splits: number[]) => splits,
        }),
        values: (_, splits) => splits.map((value) => (value === null ? "" : tick(value))),
      },
    ],
    series: [
      {},
      ...wanted.lines().map(
        (line, index): uPlot.Series => ({
          label: line.name,
          stroke: () => css(line.colour),
          // What stands on another line is an area: its outline would hide that line wherever it is empty.
          width: line.on !== undefined && !log ? 0 : 1.5,
          points: { show: false },
          // A second or two that came late are bridged; a longer hole stays one.
          gaps: (u, _series, _from, _to, holes) =>
            holes.filter(
              ([left, right]) => u.posToVal(right, "x", true) - u.posToVal(left, "x", true) > BRIDGED_SECONDS,
            ),
          ...(line.fill !== undefined &&
            (line.on === undefined || log) && {
              fill: () => alpha(line.colour, line.fill ?? 0),
              fillTo: log ? wanted.floor : 0,
            }),
          show: index >= 0,
        }),
      ),
    ],
    bands: log
      ? []
      : wanted.lines().flatMap((line, index) =>
          line.on === undefined
            ? []
            : [
                {
                  series: [index + 1, line.on + 1] as [number, number],
                  fill: () => alpha(line.colour, line.fill ?? 0.8),
                },
              ],
        ),
    hooks: {
      drawAxes: [(u) => under(u, wanted.decoration())],
      draw: [(u) => over(u, wanted.decoration())],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width > 4) wanted.onZoom(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [
        (u) =>
          wanted.onCursor(
            u.cursor.left !== undefined && u.cursor.left >= 0 ? u.cursor.idx : null,
            (u.cursor.left ?? 0) + u.over.offsetLeft,
          ),
      ],
    },
  };
}

function under(u: uPlot, { bands = [], threshold }: Decoration) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = alpha("--data-drop", 0.09);
  for (const { from, to } of bands) {
    const left = u.valToPos(from, "x", true);
    ctx.fillRect(left, bbox.top, Math.max(2, u.valToPos(to, "x", true) - left), bbox.height);
  }
  if (threshold !== undefined) {
    const y = u.valToPos(threshold, "y", true);
    ctx.strokeStyle = css("--ink-3");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function over(u: uPlot, { marks = [] }: Decoration) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px ${css("--font")}`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  let taken = Number.NEGATIVE_INFINITY;
  for (const { at, label } of marks) {
    const x = Math.round(u.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = css("--ink-2");
    ctx.lineWidth = ratio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top - 10 * ratio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(label).width;
    const before = x + width + 5 * ratio > bbox.left + bbox.width;
    const left = before ? x - width - 5 * ratio : x + 5 * ratio;
    // Two moments closer than their names: the later line stands without one.
    if (left < taken) continue;
    taken = left + width + 6 * ratio;
    ctx.fillStyle = css("--ink-2");
    ctx.fillText(label, left, bbox.top - 10 * ratio);
  }
  ctx.restore();
}
