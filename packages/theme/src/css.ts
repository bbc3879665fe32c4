import { accentFor } from "./accent.ts";
import { PALETTE, type Scheme } from "./palette.ts";
import { type BrandTokens, FONTS } from "./tokens.ts";

const MONO = '"JetBrains Mono Variable", "JetBrains Mono", ui-monospace, monospace';

function variables(tokens: BrandTokens, scheme: Scheme): string {
  const { accent, accentInk, accentSoft } = accentFor(tokens.accent[scheme], scheme);
  const colours = { ...PALETTE[scheme], accent, "accent-ink": accentInk, "accent-soft": accentSoft };
  return Object.entries(colours)
    .map(([name, value]) => `--${name}:${value}`)
    .join(";");
}

/**
 * A style sheet with every colour and typeface of both themes as variables: `:root` is light, `[data-theme="dark"]` dark.
 * Throws RangeError on a colour that is none; nothing of the input is copied into the sheet as it came.
 */
export function toCss(tokens: BrandTokens): string {
  const font = Object.hasOwn(FONTS, tokens.font) ? FONTS[tokens.font] : FONTS.inter;
  return [
    `:root{color-scheme:light;--font:${font};--mono:${MONO};${variables(tokens, "light")}}`,
    `[data-theme="dark"]{color-scheme:dark;${variables(tokens, "dark")}}`,
  ].join("\n");
}
