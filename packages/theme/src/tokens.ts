import { z } from "zod";

/** Six hexadecimal digits and nothing else: what reaches a style sheet is a colour or is refused. */
const Colour = z.string().regex(/^#[0-9a-fA-F]{6}$/, "not a colour like #2f5bea");

/** Typefaces that ship with the app or with every system; a brand picks one, it cannot name its own. */
export const FONTS = {
  inter: '"Inter Variable", "Inter", system-ui, sans-serif',
  system: 'system-ui, -apple-system, "Segoe UI", sans-serif',
  serif: 'ui-serif, "Iowan Old Style", Georgia, serif',
} as const;
export type Font = keyof typeof FONTS;

/** An `https` address, or a path below `/brand/` of the app itself. Goes into an `src` attribute, never into CSS. */
const Logo = z.union([
  z
    .url({ protocol: /^https$/, hostname: z.regexes.domain })
    .max(500)
    .regex(/^https:\/\/[^@"'<>\\\s]+$/, "not a plain https address"),
  z.string().regex(/^\/brand\/[A-Za-z0-9_-]{1,64}\.(svg|png|webp)$/, "not a path of an uploaded logo"),
]);

/** What a brand may change about the look. Severity and data colours are not among it. */
export const BrandTokens = z.strictObject({
  accent: z.strictObject({ light: Colour, dark: Colour }).default({ light: "#2f5bea", dark: "#7d9bff" }),
  font: z.enum(Object.keys(FONTS) as [Font, ...Font[]]).default("inter"),
  logoUrl: Logo.nullable().default(null),
});
export type BrandTokens = z.infer<typeof BrandTokens>;

export const DEFAULT_TOKENS: BrandTokens = BrandTokens.parse({});
