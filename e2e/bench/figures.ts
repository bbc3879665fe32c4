/** Value below which `share` of the values lie (nearest rank). */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const round = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));

/** One line of the report: name, median, p95, worst, and the bar that it is held against. */
export function line(name: string, values: readonly number[], unit: string, bar: string): string {
  const figures = `p50 ${round(quantile(values, 0.5))}  p95 ${round(quantile(values, 0.95))}  max ${round(Math.max(...values))} ${unit}`;
  return `  ${name.padEnd(52)} ${figures.padEnd(42)} n=${values.length}  bar: ${bar}`;
}

export const one = (name: string, value: string, bar: string): string =>
  `  ${name.padEnd(52)} ${value.padEnd(46)} bar: ${bar}`;
