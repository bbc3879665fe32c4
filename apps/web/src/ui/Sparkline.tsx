/** Longest hole over which the line is drawn. */
const BRIDGED_SECONDS = 4;

/** A small line of numbers over time, with spans shaded. Scales from zero unless the line would be flat against the top. */
export function Sparkline({
  points,
  from,
  to,
  spans = [],
  level,
  height = 44,
  colour = "var(--ok)",
  label,
}: {
  points: readonly { at: number; value: number | null }[];
  from: number;
  to: number;
  spans?: readonly { from: number; to: number }[];
  /** A level to compare with, drawn dashed. */
  level?: number;
  height?: number;
  colour?: string;
  label: string;
}) {
  const top = Math.max(1, level ?? 0, ...points.map(({ value }) => value ?? 0)) * 1.25;
  const x = (at: number) => (((at - from) / Math.max(1, to - from)) * 1000).toFixed(1);
  const y = (value: number) => (height - 2 - (value / top) * (height - 6)).toFixed(1);
  let pen = "M";
  let drawnAt = Number.NEGATIVE_INFINITY;
  const path = points
    .map(({ at, value }) => {
      if (value === null) return "";
      if (at - drawnAt > BRIDGED_SECONDS) pen = "M";
      drawnAt = at;
      const step = `${pen}${x(at)},${y(value)}`;
      pen = "L";
      return step;
    })
    .join(" ");
  return (
    <svg
      role="img"
      aria-label={label}
      width="100%"
      height={height}
      viewBox={`0 0 1000 ${height}`}
      preserveAspectRatio="none"
      className="block border-b border-line"
    >
      {spans.map((span) => (
        <rect
          key={span.from}
          x={x(Math.max(from, span.from))}
          width={Math.max(2, Number(x(Math.min(to, span.to))) - Number(x(Math.max(from, span.from))))}
          y={0}
          height={height}
          fill="var(--data-drop)"
          fillOpacity={0.12}
        />
      ))}
      <path
        d={path}
        fill="none"
        stroke={colour}
        strokeWidth={1.5}
        vectorEffect="non-scaling-stroke"
        strokeLinejoin="round"
      />
    </svg>
  );
}
