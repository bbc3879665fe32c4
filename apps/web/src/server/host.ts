import { env } from "../env.ts";

/** `app.example:3000` -> `app.example` */
export const bareHost = (host: string): string => host.replace(/:\d+$/, "");

/** A name or address with or without a port; anything else is not looked up. */
export const isHost = (host: string): boolean => /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:\d{1,5})?$/.test(host);

/** Where this deployment's ingest answers, seen from outside: agents report to it and browsers listen to it. */
export function ingestOrigin(host: string, proto: string): string {
  const { LIVE_URL } = env();
  if (LIVE_URL.startsWith("/")) return `${proto}://${host}`;
  if (LIVE_URL.startsWith(":")) return `${proto}://${bareHost(host)}${LIVE_URL.slice(0, LIVE_URL.indexOf("/"))}`;
  return new URL(LIVE_URL).origin;
}
