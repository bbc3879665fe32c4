import "./globals.css";
import { toCss } from "@flowtriq/theme/css";
import type { Metadata } from "next";
import { headers } from "next/headers";
import { ThemeProvider } from "next-themes";
import type { ReactNode } from "react";
import { currentBrand } from "../server/brand.ts";

export async function generateMetadata(): Promise<Metadata> {
  const { name, logoUrl } = await currentBrand();
  return {
    title: { default: name, template: `%s · ${name}` },
    robots: { index: false },
    icons: { icon: logoUrl ?? "/favicon.ico" },
  };
}

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
