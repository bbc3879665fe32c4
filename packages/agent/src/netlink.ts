import fs from "node:fs";
import { rawSocket, setOption } from "./libc.ts";
import { EPERM, NetlinkError } from "./netlink-error.ts";
import { attribute, be32, message, NLM_ACK, NLM_REQUEST, NLMSG_ERROR, SUBSYS_ULOG } from "./netlink-message.ts";

/** Netlink sockets: plain reads and writes on a descriptor. */
const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;

export function open(timeoutMs: number): number {
  const fd = rawSocket(AF_NETLINK, NETLINK_NETFILTER);
  if (fd < 0) throw new NetlinkError("opening a netlink socket", EPERM);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0);
  timeout.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8);
  setOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeout);
  return fd;
}

const int32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
};

export function readOnce(fd: number, buffer: Buffer, what: string): number {
  try {
    return fs.readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    throw new Error(`${what}: no answer from the kernel`, { cause: error });
  }
}

export type Group = { group: number; copyBytes: number; receiveBytes: number; queueThreshold: number };

/** Makes the socket the listener of a group; closes it when that fails. */
export function bindToGroup(
  fd: number,
  buffer: Buffer,
  { group, copyBytes, receiveBytes, queueThreshold }: Group,
): void {
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(receiveBytes));
  setOption(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, int32(1));
  const CONFIG = (SUBSYS_ULOG << 8) | 1;
  const configure = (what: string, payload: Buffer) => {
    fs.writeSync(fd, message(CONFIG, NLM_REQUEST | NLM_ACK, 0, group, 1, [payload]));
    // Rules of a predecessor may fill the group the moment it is bound: their samples come before the answer.
    do readOnce(fd, buffer, what);
    while (buffer.readUInt16LE(4) !== NLMSG_ERROR);
    const errno = -buffer.readInt32LE(16);
    if (errno !== 0) throw new NetlinkError(what, errno);
  };
  const BIND = 1;
  const COPY_PACKET = 2;
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(copyBytes, 0);
  mode.writeUInt8(COPY_PACKET, 4);
  try {
    configure(`listening to NFLOG group ${group}`, attribute(1, Buffer.from([BIND])));
    configure("setting the copy size", attribute(2, mode));
    configure("setting the queue threshold", attribute(5, be32(queueThreshold)));
    if (queueThreshold > 1) configure("setting the batch size", attribute(3, be32(BATCH_BYTES)));
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** What the kernel gathers into one message: a second of recorded traffic, by far. */
export const BATCH_BYTES = 1 << 14;
