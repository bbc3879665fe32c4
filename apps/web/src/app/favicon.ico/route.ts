import { accentFor } from "@flowtriq/theme/accent";
import { currentBrand } from "../../server/brand.ts";

/** The mark of a brand without a logo: a square in its colour, as in the rail. */
export async function GET(): Promise<Response> {
  const { tokens } = await currentBrand();
  const { accent } = accentFor(tokens.accent.light, "light");
  const square = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${accent}"/></svg>`;
  return new Response(square, {
    headers: { "content-type": "image/svg+xml", "cache-control": "private, max-age=3600" },
  });
}
