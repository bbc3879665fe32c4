/** What the system's tools and /proc print, read. */

/** `nftables v1.0.6 (Lester Gooch #5)` */
export function nftVersion(text: string): [number, number] | undefined {
  const found = /\bv(\d+)\.(\d+)/.exec(text);
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}

/** Names of features that are on, out of `ethtool -k`. */
export const featuresOn = (text: string): string[] =>
  [...text.matchAll(/^\s*([a-z0-9-]+): on/gm)].map((match) => match[1]!);

const NEEDED = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n };

/** Which of the agent's capabilities a process lacks, out of its /proc/PID/status. */
export function missingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return Object.entries(NEEDED).flatMap(([name, bit]) => ((effective >> bit) & 1n ? [] : [name]));
}
