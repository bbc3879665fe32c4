import { brandIdByHost } from "@flowtriq/services/lookup";
import { env } from "../env.ts";
import { connect } from "./connect.ts";

const REMEMBER_MS = 30_000;
const MOST = 10_000;
const known = new Map<string, { until: number; known: boolean }>();

/** `app.example:3000` -> `app.example` */
export const bareHost = (host: string): string => host.replace(/:\d+$/, "");

/** Whether somebody's dashboard is served under this host. Asked on every request, so the answer is kept for a while. */
export async function isKnownHost(host: string, now = Date.now()): Promise<boolean> {
  const bare = bareHost(host);
  if (env().APP_HOSTS.includes(bare)) return true;
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(bare)) return false;
  const remembered = known.get(bare);
  if (remembered && remembered.until > now) return remembered.known;
  connect();
  const answer = (await brandIdByHost(bare)) !== undefined;
  if (known.size >= MOST) known.clear();
  known.set(bare, { until: now + REMEMBER_MS, known: answer });
  return answer;
}

/** Where this deployment's ingest answers, seen from outside: agents report to it and browsers listen to it. */
export function ingestOrigin(host: string, proto: string): string {
  const { LIVE_URL } = env();
  if (LIVE_URL.startsWith("/")) return `${proto}://${host}`;
  if (LIVE_URL.startsWith(":")) return `${proto}://${bareHost(host)}${LIVE_URL.slice(0, LIVE_URL.indexOf("/"))}`;
  return new URL(LIVE_URL).origin;
}
