import { dlopen, FFIType, ptr } from "bun:ffi";
import fs from "node:fs";
import { ENOENT, EPERM, NetlinkError } from "./netlink-error.ts";

/** What there is no other way to than the C library, without a native addon. The only file that knows Bun. */
const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  if_nametoindex: { args: [FFIType.ptr], returns: FFIType.u32 },
  madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
});

const MADV_DONTNEED = 4;

/**
 * Collects garbage, and unmaps the runtime's own code pages: most were only needed to start. They stay in the page cache and are mapped back when
 * called again, so this costs microseconds and saves a third of the resident memory. Executable mappings only: nothing in
 * them was ever written.
 */
export function releaseMemory(): void {
  Bun.gc(true);
  const executable = fs.readlinkSync("/proc/self/exe");
  for (const line of fs.readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [range, mode] = line.split(" ", 2);
    if (mode !== "r-xp" || !line.endsWith(executable)) continue;
    const [from, to] = range!.split("-").map((hex) => BigInt(`0x${hex}`));
    libc.madvise(from!, to! - from!, MADV_DONTNEED);
  }
}

/** The kernel's number of an interface, 0 when there is none of this name. One that is made anew gets another number. */
export const interfaceIndex = (name: string): number => libc.if_nametoindex(ptr(Buffer.from(`${name}\0`, "latin1")));

const AF_PACKET = 17;

/** A descriptor that sends what is written to it as whole Ethernet frames of one interface, and receives nothing (packet(7)). */
export function packetSocket(interfaceName: string): number {
  const fd = rawSocket(AF_PACKET, 0);
  if (fd < 0) throw new NetlinkError("opening a packet socket", EPERM);
  // Only the self-test needs it, and each symbol costs memory.
  const { symbols } = dlopen("libc.so.6", {
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  });
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(interfaceIndex(interfaceName), 4);
  if (symbols.bind(fd, ptr(address), address.length) !== 0)
    throw new NetlinkError(`binding to ${interfaceName}`, ENOENT);
  return fd;
}

const SOCK_RAW_CLOEXEC = 3 | 0o2000000;

/** A descriptor, or below zero. */
export const rawSocket = (family: number, protocol: number): number => libc.socket(family, SOCK_RAW_CLOEXEC, protocol);

export const setOption = (fd: number, level: number, option: number, value: Buffer): void => {
  libc.setsockopt(fd, level, option, ptr(value), value.length);
};

const MSG_DONTWAIT = 0x40;
/** Bytes of one datagram, or nothing at once: 0 or less. */
export const receiveNow = (fd: number, buffer: Buffer): number =>
  libc.recv(fd, ptr(buffer), buffer.length, MSG_DONTWAIT);
