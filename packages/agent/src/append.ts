import fs from "node:fs";

/** Appends a line whole or not at all: what a full disk cut off is taken away again, so that the next line stands by itself. */
export function appendLine(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  try {
    while (written < bytes.length) written += fs.writeSync(fd, bytes, written);
  } catch (error) {
    if (written > 0) takeBack(fd, written);
    throw error;
  }
}

function takeBack(fd: number, bytes: number): void {
  const stat = fs.fstatSync(fd);
  if (stat.isFile()) fs.ftruncateSync(fd, stat.size - bytes);
}

/** The end of a file, at most so many bytes of it; undefined for what is no file or cannot be read. */
export function tailOf(file: string, bytes: number): string | undefined {
  let fd: number;
  try {
    if (!fs.statSync(file).isFile()) return undefined;
    fd = fs.openSync(file, "r");
  } catch {
    return undefined;
  }
  try {
    const { size } = fs.fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    return buffer.toString("latin1", 0, fs.readSync(fd, buffer, 0, buffer.length, size - buffer.length));
  } finally {
    fs.closeSync(fd);
  }
}

const LONGEST_LINE_BYTES = 1 << 16;

/**
 * Makes the next line of a file stand by itself: half a line of our own, which begins with `mark`, is cut off; anything else that
 * does not end its line is not ours to cut.
 */
export function endLastLine(fd: number, file: string, mark: string): void {
  const tail = tailOf(file, LONGEST_LINE_BYTES);
  const half = tail?.slice(tail.lastIndexOf("\n") + 1);
  if (!half) return;
  if (half.startsWith(mark) || mark.startsWith(half)) takeBack(fd, half.length);
  else appendLine(fd, "\n");
}
