/**
 * Netlink messages as bytes, both ways. Layouts: linux/netlink.h, nfnetlink.h, nfnetlink_log.h, nf_tables.h. Integers of the netlink
 * header are in host order (little-endian on every platform we ship), attribute payloads of nfnetlink big-endian. What is read comes
 * from the kernel, and in it from whoever sends packets: lengths are checked, nothing is copied.
 */
export const NLM_REQUEST = 1;
export const NLM_ACK = 4;
export const NLM_DUMP = 0x300;
export const NLM_CREATE = 0x400;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const SUBSYS_ULOG = 4;
export const SUBSYS_NFTABLES = 10;
export const NFPROTO_INET = 1;

export const be32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};
export const be64 = (value: bigint) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(value);
  return buffer;
};
export const text = (value: string) => Buffer.from(`${value}\0`, "latin1");

const NESTED = 0x8000;
export function attribute(type: number, payload: Buffer): Buffer {
  const length = 4 + payload.length;
  const buffer = Buffer.alloc((length + 3) & ~3);
  buffer.writeUInt16LE(length, 0);
  buffer.writeUInt16LE(type, 2);
  payload.copy(buffer, 4);
  return buffer;
}
export const nest = (type: number, children: Buffer[]) => attribute(type | NESTED, Buffer.concat(children));

export function message(
  type: number,
  flags: number,
  family: number,
  resource: number,
  sequence: number,
  attributes: Buffer[],
): Buffer {
  const body = Buffer.concat([Buffer.from([family, 0, resource >> 8, resource & 255]), ...attributes]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/** Walks attributes; `each` gets type, and the payload as a range of the same buffer. */
export function eachAttribute(
  buffer: Buffer,
  from: number,
  to: number,
  each: (type: number, start: number, end: number) => void,
): void {
  let at = from;
  while (at + 4 <= to) {
    const length = buffer.readUInt16LE(at);
    if (length < 4 || at + length > to) return;
    each(buffer.readUInt16LE(at + 2) & 0x3fff, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}
