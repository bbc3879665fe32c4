import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { readdirSync, readSync, statSync } from "node:fs";
import type { Ring } from "../ring.ts";

const { i32, u32, u64, ptr: pointer } = FFIType;
const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  sendmmsg: { args: [i32, u64, u32, i32], returns: i32 },
  if_nametoindex: { args: [pointer], returns: u32 },
  clock_gettime: { args: [i32, pointer], returns: i32 },
  poll: { args: [pointer, u64, i32], returns: i32 },
  usleep: { args: [u32], returns: i32 },
  __errno_location: { args: [], returns: pointer },
});

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;
const MMSGHDR = 64;
const IOVEC = 16;
// The device was full for a moment: what was not sent is sent later.
const PASSING = new Set([11 /* EAGAIN */, 105 /* ENOBUFS */]);

export interface Sender {
  /** Sends frames from `slot` on, not round the ring's end. Returns how many the kernel took. */
  send(slot: number, count: number): number;
}

/** A raw socket on one interface of this namespace, with all headers of the ring laid out once for `sendmmsg`. */
export function openSender(interfaceName: string, ring: Ring): Sender {
  const index = libc.if_nametoindex(ptr(Buffer.from(`${interfaceName}\0`)));
  if (index === 0) throw new Error(`no interface ${interfaceName} in this namespace`);
  // Protocol 0: the socket receives nothing, so answers to the flood cost nothing.
  const socket = libc.socket(AF_PACKET, SOCK_RAW, 0);
  if (socket < 0) throw new Error(`cannot open a packet socket (${errno()}): this needs CAP_NET_RAW`);
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setInt32(4, index, true);
  if (libc.bind(socket, ptr(address), 20) < 0) throw new Error(`cannot bind to ${interfaceName} (${errno()})`);
  option(socket, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  option(socket, SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20);

  const frames = BigInt(ptr(ring.bytes));
  const vectors = new BigUint64Array((ring.slots * IOVEC) / 8);
  const headers = new BigUint64Array((ring.slots * MMSGHDR) / 8);
  const vectorsAt = BigInt(ptr(vectors));
  for (let slot = 0; slot < ring.slots; slot += 1) {
    vectors[slot * 2] = frames + BigInt(ring.offset[slot]!);
    vectors[slot * 2 + 1] = BigInt(ring.length[slot]!);
    // struct msghdr: name 0, name length 0, then the vector and how many of it.
    headers[slot * 8 + 2] = vectorsAt + BigInt(slot * IOVEC);
    headers[slot * 8 + 3] = 1n;
  }
  const headersAt = ptr(headers);
  return {
    send(slot, count) {
      const sent = libc.sendmmsg(socket, headersAt + slot * MMSGHDR, count, 0);
      if (sent >= 0) return sent;
      const code = errno();
      if (PASSING.has(code)) return 0;
      throw new Error(`sendmmsg failed (${code})`);
    },
    // The buffers must live as long as the kernel reads them.
    ...{ headers, vectors },
  };
}

const timespec = new BigInt64Array(2);

/** CLOCK_REALTIME in milliseconds since the epoch, with microseconds behind the point. */
export function realtimeMs(): number {
  libc.clock_gettime(0, ptr(timespec));
  return Number(timespec[0]) * 1000 + Number(timespec[1]) / 1e6;
}

export const sleepMicroseconds = (microseconds: number) => libc.usleep(microseconds);

/** Waits for a line with a moment, and then for the moment (CLOCK_REALTIME, milliseconds); false: nobody will tell any more. */
export function toldToBegin(): boolean {
  const line = Buffer.alloc(64);
  const length = readSync(0, line, 0, line.length, null);
  if (length === 0) return false;
  const at = Number(line.toString("latin1", 0, length));
  while (realtimeMs() < at - 2) sleepMicroseconds(500);
  while (realtimeMs() < at);
  return true;
}

/** True once the other end of standard input is gone: whoever started us has ended, or wants us to. */
export function inputClosed(): boolean {
  const request = new Int32Array([0, 1 /* POLLIN */]);
  if (libc.poll(ptr(request), 1, 0) <= 0) return false;
  return request[1]! >> 16 !== 0;
}

/** Are we in a lab's namespace of this role? Named namespaces are files; the one that we are in has our own namespace's inode. */
export function inNamespaceOf(role: "atk" | "srv"): boolean {
  const own = statSync("/proc/self/ns/net").ino;
  const names = readdirSync("/var/run/netns").filter((name) => name.endsWith(`-${role}`));
  return names.some((name) => statSync(`/var/run/netns/${name}`).ino === own);
}

function option(socket: number, level: number, name: number, value: number): void {
  const bytes = new Int32Array([value]);
  if (libc.setsockopt(socket, level, name, ptr(bytes), 4) < 0)
    throw new Error(`setsockopt ${name} failed (${errno()})`);
}

function errno(): number {
  const at = libc.__errno_location();
  return at === null ? 0 : read.i32(at);
}
