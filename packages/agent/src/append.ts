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

const TAIL_BYTES = 1 << 20;

/** The last mebibyte of a file, and at which byte its last whole line ends; undefined for what is no file. */
export function tailOf(file: string): { text: string; wholeBytes: number; bytes: number } | undefined {
  let fd: number;
  try {
    if (!fs.statSync(file).isFile()) return undefined;
    fd = fs.openSync(file, "r");
  } catch {
    return undefined;
  }
  try {
    const { size } = fs.fstatSync(fd);
    const from = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - from);
    const length = fs.readSync(fd, buffer, 0, buffer.length, from);
    const end = buffer.subarray(0, length).lastIndexOf(10) + 1;
    return { text: buffer.toString("utf8", 0, length), wholeBytes: from + end, bytes: size };
  } finally {
    fs.closeSync(fd);
  }
}
