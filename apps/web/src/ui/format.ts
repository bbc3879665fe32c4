/** Numbers and durations as people read them: three significant figures, the unit always, thousands separated. */

const LOCALE = "en-US";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });

const STEPS = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** Two significant figures under ten, none behind the point from a hundred on: 4.1, 12.4, 312. */
const short = (value: number): string => {
  const digits = value < 10 ? 1 : value < 100 ? 1 : 0;
  return String(Number(value.toFixed(digits)));
};

function scaled(value: number): { figure: string; prefix: string } {
  for (const [size, prefix] of STEPS) if (value >= size * 0.9995) return { figure: short(value / size), prefix };
  return {
    figure: value > 0 && value < 10 && !Number.isInteger(value) ? short(value) : whole.format(value),
    prefix: "",
  };
}

/** 312 kpps */
export const pps = (value: number): string => {
  const { figure, prefix } = scaled(value);
  return `${figure} ${prefix}pps`;
};

/** 4.1 Gb/s, from bits per second */
export const bps = (value: number): string => {
  const { figure, prefix } = scaled(value);
  return `${figure} ${prefix}b/s`;
};

/** 312,000 */
export const count = (value: number): string => whole.format(value);

/** 4.1 B: for counts too long to read; below a million in full. */
export function brief(value: number): string {
  if (value < 1e6) return whole.format(value);
  const [size, word] = value >= 1e12 ? [1e12, "T"] : value >= 1e9 ? [1e9, "B"] : [1e6, "M"];
  return `${short(value / (size as number))} ${word}`;
}

/** 0.02 %, from a share of one. What is above nothing never reads as nothing, what is below all never as all. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.01) return "< 0.01 %";
  if (value < 100 && value > 99.99) return "> 99.99 %";
  const digits = value > 99 || value < 1 ? 2 : 1;
  return `${Number(value.toFixed(digits))} %`;
}

/** 9 ms · 1.24 s · 7 m 58 s · 3 h 12 m · 4 d 2 h, from milliseconds */
export function duration(ms: number): string {
  if (ms < 1) return ms > 0 ? "< 1 ms" : "0 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${Number(seconds.toFixed(2))} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} m ${s % 60} s` : `${s / 60} m`;
  const m = Math.round(s / 60);
  if (m < 1440) return m % 60 ? `${Math.floor(m / 60)} h ${m % 60} m` : `${m / 60} h`;
  const h = Math.round(m / 60);
  return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${h / 24} d`;
}

/** now · 12 s ago · 4 m ago · 3 h ago · 2 d ago */
export function ago(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 2) return "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} m ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** 2026-01-02 03:04:05.678 UTC */
export const exactUtc = (at: Date): string => `${at.toISOString().replace("T", " ").slice(0, -1)} UTC`;

/** 2026-01-02 03:04 UTC */
export const minuteUtc = (at: Date): string => `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** 09:14 or 09:14:05, of the clock that is on the reader's wall */
export const clock = (at: Date, seconds = false): string =>
  `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;

/** one node · 12 nodes */
export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${n === 1 ? "one" : count(n)} ${n === 1 ? one : many}`;
