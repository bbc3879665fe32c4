import { type Brand, byHost } from "@flowtriq/services/brand";
import { BrandTokens, DEFAULT_TOKENS } from "@flowtriq/theme/tokens";
import { headers } from "next/headers";
import { notFound } from "next/navigation";
import { cache } from "react";
import { connect } from "./connect.ts";

const REMEMBER_MS = 30_000;
const MOST = 10_000;
const remembered = new Map<string, { until: number; brand: Brand | undefined }>();

/** The brand of a host; undefined when nobody's dashboard is there. Asked on every request, so kept for half a minute. */
export async function brandOf(host: string, now = Date.now()): Promise<Brand | undefined> {
  const known = remembered.get(host);
  if (known && known.until > now) return known.brand;
  connect();
  const brand = await byHost(host);
  if (remembered.size >= MOST) remembered.clear();
  remembered.set(host, { until: now + REMEMBER_MS, brand });
  return brand;
}

/** The brand of this request. Tokens that an older version saved and this one refuses become the default's. */
export const currentBrand = cache(async () => {
  const brand = await brandOf((await headers()).get("x-brand-host") ?? "");
  if (!brand) notFound();
  const { id, workspaceId, name, agentName, supportEmail, logoUrl } = brand;
  const tokens = BrandTokens.safeParse({ ...brand.tokens, logoUrl }).data ?? DEFAULT_TOKENS;
  return { id, workspaceId, name, agentName, supportEmail, logoUrl: tokens.logoUrl, tokens };
});
