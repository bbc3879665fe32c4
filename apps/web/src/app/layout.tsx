import "./globals.css";
import { toCss } from "@flowtriq/theme/css";
import type { Metadata } from "next";
import { headers } from "next/headers";
import { ThemeProvider } from "next-themes";
import type { ReactNode } from "react";
import { currentBrand } from "../server/brand.ts";

export async function generateMetadata(): Promise<Metadata> {
  const { name, logoUrl, tokens } = await currentBrand();
  return {
    title: { default: name, template: `%s · ${name}` },
    robots: { index: false },
    icons: { icon: logoUrl ?? square(tokens.accent.light) },
  };
}

/** The mark of a brand without a logo: a square in its colour, as in the rail. */
const square = (colour: string): string =>
  `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="${colour}"/></svg>`)}`;

export default async function RootLayout({ children }: { children: ReactNode }) {
  const { tokens } = await currentBrand();
  const nonce = (await headers()).get("x-nonce") ?? undefined;
  return (
    <html lang="en" suppressHydrationWarning>
      <head>
        {/* biome-ignore lint/security/noDangerouslySetInnerHtml: made of parsed colours and names of typefaces alone, see @flowtriq/theme */}
        <style nonce={nonce} dangerouslySetInnerHTML={{ __html: toCss(tokens) }} suppressHydrationWarning />
      </head>
      <body>
        <ThemeProvider attribute="data-theme" nonce={nonce} disableTransitionOnChange enableColorScheme={false}>
          {children}
        </ThemeProvider>
      </body>
    </html>
  );
}
