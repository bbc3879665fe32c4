import { describe, expect, test } from "vitest";
import { fuzzKernel } from "./fuzz/kernel.ts";
import { heapBytes } from "./fuzz/material.ts";
import { fuzzCaptures, PacketFuzz } from "./fuzz/packets.ts";
import { fuzzConfigurations, fuzzControl, fuzzTunnels, harmless } from "./fuzz/texts.ts";

/** `npm run bench -- fuzz` tries a million, with any seed. */
const SEED = 20_260_101;
const GROWTH_BYTES = 24 << 20;

describe("whatever comes", () => {
  test("packets are read, sorted, summed up and judged without a fault, in bounded memory", () => {
    const fuzz = new PacketFuzz(SEED);
    fuzz.run(10_000);
    const before = heapBytes();
    fuzz.run(10_000);
    expect(heapBytes() - before).toBeLessThan(GROWTH_BYTES);
    expect(fuzz.seen.packets).toBeGreaterThan(10_000);
    expect(fuzz.seen.attacks).toBeGreaterThan(0);
  });

  test("captures are read as far as they are whole, or refused", () => {
    const { read, refused } = fuzzCaptures(SEED, 2_000);
    expect(read).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(20);
  });

  test("configurations and policies are refused with words, or compile to rules that hold nothing else", () => {
    const { accepted, refused } = fuzzConfigurations(SEED, 120);
    expect(accepted).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(20);
  });

  test("answers of VPN daemons give peers that rules can name, or none", () => {
    expect(fuzzTunnels(SEED, 2_000).peers).toBeGreaterThan(2_000);
  });

  test("what the kernel hands up is read within its bounds", () => {
    const { samples, recorded, leases } = fuzzKernel(SEED, 5_000);
    expect(samples).toBeGreaterThan(2_000);
    expect(recorded).toBeGreaterThan(2_000);
    expect(leases).toBeGreaterThan(1_000);
  });

  test("the local door obeys commands only", async () => {
    const { answered, obeyed } = await fuzzControl(SEED, 300);
    expect(answered).toBeGreaterThan(200);
    expect(obeyed).toBeGreaterThan(50);
    expect(obeyed).toBeLessThan(answered);
  });
});

// Otherwise the guard above could let anything through.
test.each([
  ["a second command", "table inet fuzz {\n}\nflush ruleset\n"],
  ["a rule in a list of addresses", "add element inet fuzz never4 { 10.0.0.0/8 }\nadd rule inet x y drop }\n"],
  ["a name that ends its quotes", 'table inet fuzz {\nchain x {\niifname != { "a" b" } accept\n}\n}\n'],
  ["a table of somebody else", "table inet operator {\n}\n"],
])("%s is not taken for harmless", (_, text) => {
  expect(() => harmless(text)).toThrow();
});
