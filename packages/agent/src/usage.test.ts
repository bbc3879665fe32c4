import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { manualPage } from "./manual.ts";
import { COMMON, commandNames, helpOf, NAME, overview, specOf } from "./usage.ts";

const WIDTH = 80;
const longest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
const hasMandoc = spawnSync("mandoc", ["-Tutf8"], { input: "" }).error === undefined;

test("the overview names every command and fits 80 columns", () => {
  const text = overview(WIDTH);
  for (const name of commandNames) expect(text).toContain(`  ${name} `);
  expect(longest(text)).toBeLessThanOrEqual(WIDTH);
});

test.each(commandNames)("%s --help names every option and fits 80 columns", (name) => {
  const text = helpOf(name, WIDTH);
  for (const option of [...specOf(name).options, ...COMMON])
    expect(text).toMatch(new RegExp(`^ .*--${option}\\b`, "m"));
  expect(longest(text)).toBeLessThanOrEqual(WIDTH);
});

describe("the manual page", () => {
  const page = manualPage("2026-11-25T00:00:00Z");

  test("has every command and option, and its date", () => {
    for (const name of commandNames) {
      expect(page).toContain(`.It Ic ${name}\n`);
      for (const option of specOf(name).options) expect(page).toMatch(new RegExp(`^\\.It .*Fl \\\\-${option}\\b`, "m"));
    }
    expect(page.split("\n").slice(0, 2)).toEqual([".Dd November 25, 2026", `.Dt ${NAME.toUpperCase()} 8`]);
  });

  test.skipIf(!hasMandoc)("is clean for mandoc", () => {
    // Whether this machine's index of pages knows those that are referred to says nothing about ours.
    const { stdout } = spawnSync("mandoc", ["-Tlint", "-Wwarning"], { input: page, encoding: "utf8" });
    expect(stdout).toBe("");
  });
});
