import type { Lease } from "@flowtriq/mitigation/leases";
import { attribute, be32, be64, eachAttribute, nest, text } from "./netlink-message.ts";

/** A lease as the kernel holds it: seconds left, and the chain that it sends to, if it does. */
export type HeldLease = { seconds: number; chain?: string };

/** linux/netfilter.h: NFPROTO_IPV4 and NFPROTO_IPV6. */
const FAMILY = { ipv4: 2, ipv6: 10 };
const NFT_GOTO = 0xffff_fffc;

/** An element as the kernel takes it (linux/nf_tables.h, NFTA_SET_ELEM). */
export function leaseElement({ key, chain, seconds }: Lease["elements"][number]): Buffer {
  const bytes = typeof key === "number" ? Buffer.from([key >> 8, key & 255]) : Buffer.from([FAMILY[key]]);
  return nest(1, [
    nest(1, [attribute(1, bytes)]),
    ...(chain ? [nest(2, [nest(2, [attribute(1, be32(NFT_GOTO)), attribute(2, text(chain))])])] : []),
    ...(seconds === undefined ? [] : [attribute(4, be64(BigInt(Math.round(seconds * 1000))))]),
  ]);
}

/** One that it tells of, in `buffer[from, to)`. */
export function heldLease(buffer: Buffer, from: number, to: number): HeldLease {
  const EXPIRATION = 5;
  const lease: HeldLease = { seconds: 0 };
  eachAttribute(buffer, from, to, (type, start, end) => {
    if (type === EXPIRATION && end - start >= 8) lease.seconds = Number(buffer.readBigUInt64BE(start)) / 1000;
    if (type !== 2) return;
    eachAttribute(buffer, start, end, (_, verdictFrom, verdictTo) =>
      eachAttribute(buffer, verdictFrom, verdictTo, (inner, at, until) => {
        if (inner === 2) lease.chain = buffer.toString("latin1", at, until - 1);
      }),
    );
  });
  return lease;
}
