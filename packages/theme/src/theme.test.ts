import { wcagContrast } from "culori";
import fc from "fast-check";
import { expect, test } from "vitest";
import { accentFor, TEXT_CONTRAST } from "./accent.ts";
import { toCss } from "./css.ts";
import { PALETTE, type Scheme, SURFACES } from "./palette.ts";
import { BrandTokens, DEFAULT_TOKENS } from "./tokens.ts";

const schemes: Scheme[] = ["light", "dark"];
const hex = fc.integer({ min: 0, max: 0xffffff }).map((n) => `#${n.toString(16).padStart(6, "0")}`);

test("whatever colour a brand picks, links and buttons of it can be read in both themes", () => {
  fc.assert(
    fc.property(hex, fc.constantFrom(...schemes), (wanted, scheme) => {
      const { accent, accentInk, accentSoft } = accentFor(wanted, scheme);
      expect(wcagContrast(accentInk, accent)).toBeGreaterThanOrEqual(TEXT_CONTRAST);
      for (const ground of [...SURFACES.map((name) => PALETTE[scheme][name]), accentSoft])
        expect(wcagContrast(accent, ground)).toBeGreaterThanOrEqual(TEXT_CONTRAST);
    }),
    { numRuns: 400 },
  );
});

test.each([
  ["light", "#2f5bea"],
  ["dark", "#7d9bff"],
] as const)("a colour that can be read already is kept: %s %s", (scheme, colour) => {
  expect(accentFor(colour, scheme).accent).toBe(colour);
});

test.each(schemes)("text and severity colours hold 4.5:1 on the surfaces they stand on (%s)", (scheme) => {
  const colours = PALETTE[scheme];
  for (const text of ["ink", "ink-2", "ink-3", "critical", "high", "ok"] as const)
    for (const ground of SURFACES)
      expect
        .soft(wcagContrast(colours[text], colours[ground]), `${text} on ${ground}`)
        .toBeGreaterThanOrEqual(TEXT_CONTRAST);
  for (const severity of ["critical", "high", "ok"] as const)
    for (const text of [severity, "ink", "ink-2"] as const)
      expect
        .soft(wcagContrast(colours[text], colours[`${severity}-soft`]), `${text} on ${severity}-soft`)
        .toBeGreaterThanOrEqual(TEXT_CONTRAST);
});

test("a brand changes the accent and the font and no severity or data colour", () => {
  const branded = toCss(BrandTokens.parse({ accent: { light: "#aa0000", dark: "#ffaa00" }, font: "serif" }));
  expect(branded).not.toBe(toCss(DEFAULT_TOKENS));
  for (const name of ["critical", "high", "ok", "data-drop", "data-pass"] as const)
    for (const scheme of schemes) expect(branded).toContain(`--${name}:${PALETTE[scheme][name]}`);
});

test.each([
  { accent: { light: "red;}body{display:none", dark: "#ffffff" } },
  { accent: { light: "#fff", dark: "#ffffff" } },
  { accent: { light: "#2f5bea\n", dark: "#ffffff" } },
  { accent: { light: "url(https://evil.example/x)", dark: "#ffffff" } },
  { font: "Comic Sans; }" },
  { font: "__proto__" },
  { logoUrl: "javascript:alert(1)" },
  { logoUrl: "http://logo.example/a.png" },
  { logoUrl: 'https://logo.example/a.png"onerror="x' },
  { logoUrl: "https://user:secret@logo.example/a.png" },
  { logoUrl: "data:text/html,<script>" },
  { logoUrl: "/brand/../../etc/passwd.png" },
  { css: "body{}" },
])("hostile tokens are refused: %j", (tokens) => {
  expect(BrandTokens.safeParse(tokens).success).toBe(false);
});

test("a sheet made from tokens that nobody parsed still carries no text of theirs", () => {
  const sneaky = {
    accent: { light: "</style><script>", dark: "#ffffff" },
    font: "inter",
    logoUrl: null,
  } as BrandTokens;
  expect(() => toCss(sneaky)).toThrow(RangeError);
  const font = { ...DEFAULT_TOKENS, font: "toString" } as unknown as BrandTokens;
  expect(toCss(font)).toBe(toCss(DEFAULT_TOKENS));
});
