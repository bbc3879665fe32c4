import type { HostFacts } from "./facts.ts";
import { ONE_IN } from "./lane-chains.ts";

/**
 * What the kernel copies of ordinary traffic, so that a capture can begin before its attack. Headers only: IPv6 with TCP and
 * all its options takes 100 octets, IPv6 with UDP and an IKE header 76.
 */
export const RECORD = { pps: 20, burst: 5, snapBytes: 128 } as const;

/** Packets a second, to and fro, from which on a host is busy: one in so many is enough for a record then, and a limit costs each packet more. */
const BUSY = { begins: 5_000, ends: 2_500 };
export const isBusy = (pps: number, was: boolean): boolean => pps >= (was ? BUSY.ends : BUSY.begins);

/** Right after our own prerouting chain of older kernels (-450), before connection tracking and defragmentation. */
const RECORD_PRIORITY = -449;
/** The kernel hands over many packets at once; its timer (a second) comes first at this rate. */
const QUEUE_THRESHOLD = 100;

/**
 * A chain that samples what reaches the host, after every drop of ours: a flood that is dropped costs it nothing, and the tunnels
 * are seen while they are attacked. The kernel stamps samples of prerouting with their time, those of ingress not (Linux 6.18). The
 * interface is named as the host sees it: beneath a VLAN or a bridge nothing is recorded.
 */
export function recordChain({ recordGroup, interfaces, busy }: HostFacts): {
  name: string;
  hook: string;
  rules: string[];
} {
  const names = interfaces.map((name) => `"${name}"`);
  const sample =
    `limit rate ${RECORD.pps}/second burst ${RECORD.burst} packets ` +
    `log group ${recordGroup} snaplen ${RECORD.snapBytes} queue-threshold ${QUEUE_THRESHOLD}`;
  return {
    name: "record",
    hook: `type filter hook prerouting priority ${RECORD_PRIORITY}; policy accept;`,
    // Without a group the chain stays, empty: a table that stands is rewritten, not replaced.
    rules:
      recordGroup === undefined
        ? []
        : [`${busy ? `${ONE_IN} ` : ""}iifname ${names.length === 1 ? names[0] : `{ ${names.join(", ")} }`} ${sample}`],
  };
}
