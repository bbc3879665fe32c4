import { clampChroma, converter, formatHex, interpolate, wcagContrast } from "culori";
import { PALETTE, type Scheme, SURFACES } from "./palette.ts";

/** WCAG 2.2, 1.4.3: contrast of text of ordinary size. */
export const TEXT_CONTRAST = 4.5;

export type Accent = { accent: string; accentInk: string; accentSoft: string };

const toOklch = converter("oklch");

/** A tint of the surface for selected rows and chips. */
const softOf = (accent: string, scheme: Scheme): string =>
  formatHex(interpolate([PALETTE[scheme].surface, accent], "oklab")(scheme === "light" ? 0.1 : 0.16));

const inkOf = (accent: string): string =>
  ["#ffffff", "#0d1330", "#000000"].find((ink) => wcagContrast(ink, accent) >= TEXT_CONTRAST) ?? "#000000";

function legible(accent: string, scheme: Scheme): boolean {
  const grounds = [...SURFACES.map((name) => PALETTE[scheme][name]), softOf(accent, scheme)];
  return (
    grounds.every((ground) => wcagContrast(accent, ground) >= TEXT_CONTRAST) &&
    wcagContrast(inkOf(accent), accent) >= TEXT_CONTRAST
  );
}

/**
 * The brand's colour, moved in lightness (darker on light, lighter on dark) by as little as it takes until it can be
 * read as a link on every surface and text can be read on it. Hue is kept.
 */
export function accentFor(wanted: string, scheme: Scheme): Accent {
  const colour = toOklch(wanted);
  if (!colour) throw new RangeError(`not a colour: ${JSON.stringify(wanted).slice(0, 40)}`);
  let accent = formatHex(colour);
  for (let step = 1; !legible(accent, scheme) && step <= 100; step++) {
    const l = colour.l + (scheme === "light" ? -step : step) / 100;
    accent = formatHex(clampChroma({ ...colour, l: Math.min(1, Math.max(0, l)) }, "oklch"));
  }
  return { accent, accentInk: inkOf(accent), accentSoft: softOf(accent, scheme) };
}
