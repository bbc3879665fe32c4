/** What an operator reads: aligned, no wider than the terminal, coloured only where colour can be seen. */

/** What a command says: the same for a person and for a program. */
export type Answer = { json: unknown; text: string; exitCode?: number };
export type Style = { width: number; paint: Paint };

const NARROWEST = 60;
const USUAL = 80;
const WIDEST = 100;

/** Columns that output may take: 80 unless a terminal says otherwise. */
export const widthOf = (stream: { isTTY?: boolean; columns?: number }): number =>
  stream.isTTY && stream.columns ? Math.min(WIDEST, Math.max(NARROWEST, stream.columns)) : USUAL;

export type Paint = Record<"red" | "yellow" | "green" | "bold" | "dim", (text: string) => string>;
const CODES = { red: 31, yellow: 33, green: 32, bold: 1, dim: 2 } as const;

/** Colours for a terminal that has not set NO_COLOR (no-color.org) and can show them; otherwise text as it is. */
export function paintFor(stream: { isTTY?: boolean }, env: Record<string, string | undefined>): Paint {
  const coloured = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  const paint = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    red: paint(CODES.red),
    yellow: paint(CODES.yellow),
    green: paint(CODES.green),
    bold: paint(CODES.bold),
    dim: paint(CODES.dim),
  };
}

/** Words in lines of at most `room`, each after the first behind `indent` spaces. A longer word stays whole: it may be a path. */
export function wrap(words: string, room: number, indent = 0): string {
  const lines: string[] = [];
  let line = "";
  for (const word of words.split(/\s+/).filter(Boolean)) {
    if (line === "") line = word;
    else if (line.length + 1 + word.length <= room) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  return lines.join(`\n${" ".repeat(indent)}`);
}

/** Rows as columns two spaces apart, numbers to the right. The first row is the head. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}

const THOUSANDS = { count: ["", "K", "M", "B", "T"], rate: ["", "k", "M", "G", "T"] };

/** Three figures and the thousands behind them. By hand: the runtime's formatter loads its tables of languages. */
function scaled(value: number, kind: keyof typeof THOUSANDS): [string, string] {
  const step = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return [String(Number((value / 1000 ** step).toPrecision(3))), THOUSANDS[kind][step]!];
}

/** 18,460 as `18.5K`, 312 as `312`. */
export const short = (value: number): string => scaled(value, "count").join("");
/** 312,400 as `312 kpps`. */
export const rate = (value: number, unit: "pps" | "bps"): string => `${scaled(value, "rate").join(" ")}${unit}`;

/** 192 s as `3m 12s`, two units at most. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

/** Text that came from elsewhere, without what could move a terminal's cursor. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "?");
