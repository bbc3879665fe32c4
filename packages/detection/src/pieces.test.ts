import { expect, test } from "vitest";
import { Pieces } from "./pieces.ts";

const senders = (count: number) => new Set(Array.from({ length: count }, (_, i) => i + 1));

test("later pieces belong to the answers that some of their senders began", () => {
  const pieces = new Pieces();
  for (const sender of senders(3)) pieces.note(sender, "dns_amplification", 1_000);
  expect(pieces.ownerOf(senders(40), 2_000)).toEqual({ vector: "dns_amplification", known: 3 });
});

test("one sender of many is chance, and what began a minute ago is over", () => {
  const pieces = new Pieces();
  pieces.note(1, "ntp_amplification", 1_000);
  expect(pieces.ownerOf(senders(40), 1_500)).toBeUndefined();
  pieces.note(2, "ntp_amplification", 1_000);
  expect(pieces.ownerOf(senders(40), 1_500)).toBeDefined();
  expect(pieces.ownerOf(senders(40), 61_000)).toBeUndefined();
});

test("however many begin answers, the oldest make room", () => {
  const pieces = new Pieces();
  for (let sender = 1; sender <= 100_000; sender++) pieces.note(sender, "dns_amplification", sender);
  expect(pieces.ownerOf(new Set([1, 2, 3]), 100_000)).toBeUndefined();
  expect(pieces.ownerOf(new Set([99_999, 100_000]), 100_000)?.known).toBe(2);
});
