import { type NextRequest, NextResponse } from "next/server";
import { env } from "./env.ts";
import { brandOf } from "./server/brand.ts";
import { ingestOrigin, isHost } from "./server/host.ts";

/** Host -> brand, and the headers that every answer carries. What a client says of these headers is overwritten. */
export async function proxy(request: NextRequest): Promise<NextResponse> {
  const { NODE_ENV, TRUST_PROXY } = env();
  const incoming = request.headers;
  const host = ((TRUST_PROXY && incoming.get("x-forwarded-host")) || incoming.get("host") || "").toLowerCase();
  const proto = TRUST_PROXY && incoming.get("x-forwarded-proto") === "https" ? "https" : "http";

  if (!isHost(host) || !(await brandOf(host))) return plain("Not found\n", 404);
  if (isForeignWrite(request, host)) return plain("This request came from another site.\n", 403);

  const nonce = btoa(crypto.randomUUID());
  const policy = contentSecurityPolicy({
    nonce,
    live: ingestOrigin(host, proto),
    development: NODE_ENV === "development",
  });
  const headers = new Headers(incoming);
  headers.set("x-brand-host", host);
  headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", proto);
  headers.set("x-nonce", nonce);
  headers.set("x-path", request.nextUrl.pathname + request.nextUrl.search);
  headers.set("content-security-policy", policy);

  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  for (const [name, value] of SECURITY_HEADERS) response.headers.set(name, value);
  if (proto === "https") response.headers.set("strict-transport-security", "max-age=31536000");
  return response;
}

const SECURITY_HEADERS = [
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "same-origin"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  ["permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"],
] as const;

const plain = (text: string, status: number) =>
  new NextResponse(text, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });

/** The session cookie is SameSite=Lax; this holds as well for browsers that send it anyway. */
function isForeignWrite({ method, headers }: NextRequest, host: string): boolean {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return false;
  const origin = headers.get("origin");
  return origin !== null && (!URL.canParse(origin) || new URL(origin).host !== host);
}

type Policy = { nonce: string; live: string; development: boolean };

export function contentSecurityPolicy({ nonce, live, development }: Policy): string {
  return [
    "default-src 'self'",
    `script-src 'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ""}`,
    // The development server puts its own styles in; a nonce would switch 'unsafe-inline' off.
    development ? "style-src 'self' 'unsafe-inline'" : `style-src 'self' 'nonce-${nonce}'`,
    // Widths of bars and the like; a style attribute runs nothing and loads nothing that img-src does not allow.
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data: https:",
    "font-src 'self'",
    `connect-src 'self' ${live}${development ? " ws:" : ""}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

export const config = {
  matcher: ["/((?!_next/static|api/health).*)"],
};
