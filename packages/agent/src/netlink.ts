import { dlopen, FFIType, ptr } from "bun:ffi";
import fs from "node:fs";
import type { Lease } from "@flowtriq/mitigation/leases";

/**
 * Netlink sockets without a native addon: socket() and setsockopt() by FFI, then plain reads and writes on the descriptor.
 * The only file that knows Bun. Layouts: linux/netlink.h, nfnetlink.h, nfnetlink_log.h, nf_tables.h. Integers of the
 * netlink header are in host order (little-endian on every platform we ship), attribute payloads of nfnetlink big-endian.
 */
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
  const fd = libc.socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0);
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

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_NO_ENOBUFS = 5;

export const NLM_REQUEST = 1;
const NLM_ACK = 4;
export const NLM_DUMP = 0x300;
const NLM_CREATE = 0x400;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

const SUBSYS_ULOG = 4;
export const SUBSYS_NFTABLES = 10;
export const NFPROTO_INET = 1;

export class NetlinkError extends Error {
  readonly errno: number;
  constructor(what: string, errno: number) {
    super(`${what}: ${ERRNO[errno] ?? `errno ${errno}`}`);
    this.errno = errno;
  }
}
export const ENOENT = 2;
export const EPERM = 1;
export const EBUSY = 16;
const ERRNO: Record<number, string> = {
  1: "not permitted (CAP_NET_ADMIN is needed)",
  2: "no such table or object",
  16: "busy (another program listens there)",
  17: "exists already",
  95: "not supported by this kernel",
};

export function open(timeoutMs: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throw new NetlinkError("opening a netlink socket", EPERM);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0);
  timeout.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8);
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, ptr(timeout), 16);
  return fd;
}

const int32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
};
export const be32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};
const be64 = (value: bigint) => {
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
const nest = (type: number, children: Buffer[]) => attribute(type | NESTED, Buffer.concat(children));

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

/** A lease as the kernel holds it: seconds left, and the chain that it sends to, if it does. */
export type HeldLease = { seconds: number; chain?: string };

/** linux/netfilter.h: NFPROTO_IPV4 and NFPROTO_IPV6. */
const FAMILY = { ipv4: 2, ipv6: 10 };
const NFT_GOTO = 0xffff_fffc;

function leaseElement({ key, chain, seconds }: Lease["elements"][number]): Buffer {
  const bytes = typeof key === "number" ? Buffer.from([key >> 8, key & 255]) : Buffer.from([FAMILY[key]]);
  return nest(1, [
    nest(1, [attribute(1, bytes)]),
    ...(chain ? [nest(2, [nest(2, [attribute(1, be32(NFT_GOTO)), attribute(2, text(chain))])])] : []),
    ...(seconds === undefined ? [] : [attribute(4, be64(BigInt(Math.round(seconds * 1000))))]),
  ]);
}

function heldLease(buffer: Buffer, from: number, to: number): HeldLease {
  const EXPIRATION = 5;
  const lease: HeldLease = { seconds: 0 };
  eachAttribute(buffer, from, to, (type, start, end) => {
    if (type === EXPIRATION) lease.seconds = Number(buffer.readBigUInt64BE(start)) / 1000;
    if (type !== 2) return;
    eachAttribute(buffer, start, end, (_, verdictFrom, verdictTo) =>
      eachAttribute(buffer, verdictFrom, verdictTo, (inner, at, until) => {
        if (inner === 2) lease.chain = buffer.toString("latin1", at, until - 1);
      }),
    );
  });
  return lease;
}

export type CounterValue = { packets: number; bytes: number };

/** One table's counters and leases over one socket: reading all counters costs tens of microseconds whatever its sets hold. */
export class NftSocket {
  readonly #fd = open(2000);
  readonly #buffer = Buffer.alloc(1 << 17);
  readonly #table: string;
  #sequence = 1;
  /** Names by their place in the kernel's answer, which hardly ever changes: what is read ten times a second should leave no garbage. */
  readonly #names: { name: string; bytes: Buffer }[] = [];
  readonly #values = new Map<string, CounterValue>();

  constructor(table: string) {
    this.#table = table;
  }

  /**
   * Packets and bytes of every named counter of the table, good until the next call. Throws NetlinkError ENOENT when the table is
   * gone.
   */
  counters(): ReadonlyMap<string, Readonly<CounterValue>> {
    const GETOBJ = (SUBSYS_NFTABLES << 8) | 19;
    const OBJECT_COUNTER = 1;
    const sequence = this.#sequence++;
    const request = message(GETOBJ, NLM_REQUEST | NLM_DUMP, NFPROTO_INET, 0, sequence, [
      attribute(1, text(this.#table)),
      attribute(3, be32(OBJECT_COUNTER)),
    ]);
    fs.writeSync(this.#fd, request);
    const buffer = this.#buffer;
    let place = 0;
    this.#receive(sequence, "reading counters", (start, end) => {
      let name = "";
      let packets = 0;
      let bytes = 0;
      eachAttribute(buffer, start + 20, end, (type, from, to) => {
        if (type === 2) name = this.#nameAt(place++, from, to - 1);
        else if (type === 4)
          eachAttribute(buffer, from, to, (inner, at) => {
            // 53 bits of packets last for decades at any rate a machine can see.
            const value = buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
            if (inner === 1) bytes = value;
            else if (inner === 2) packets = value;
          });
      });
      const value = this.#values.get(name);
      if (value) {
        value.packets = packets;
        value.bytes = bytes;
      } else this.#values.set(name, { packets, bytes });
    });
    if (this.#values.size !== place) {
      // The table was loaded anew with fewer counters: what is not answered any more is forgotten.
      const answered = new Set(this.#names.slice(0, place).map(({ name }) => name));
      for (const name of this.#values.keys()) if (!answered.has(name)) this.#values.delete(name);
    }
    return this.#values;
  }

  /** What `counters` answered last. */
  get last(): ReadonlyMap<string, Readonly<CounterValue>> {
    return this.#values;
  }

  #nameAt(place: number, from: number, to: number): string {
    const known = this.#names[place];
    if (known && this.#buffer.compare(known.bytes, 0, known.bytes.length, from, to) === 0) return known.name;
    const name = this.#buffer.toString("latin1", from, to);
    this.#names[place] = { name, bytes: Buffer.from(name, "latin1") };
    return name;
  }

  /**
   * Makes these sets and maps hold exactly these elements, in one transaction. Emptying first is what renews: adding an element that
   * stands does not extend its timeout (Linux 6.18).
   */
  lease(wanted: Lease[]): void {
    if (wanted.length === 0) return;
    const NEWSETELEM = (SUBSYS_NFTABLES << 8) | 12;
    const DELSETELEM = (SUBSYS_NFTABLES << 8) | 14;
    const first = this.#sequence;
    const parts = [message(0x10, NLM_REQUEST, 0, SUBSYS_NFTABLES, this.#sequence++, [])];
    for (const { set, elements } of wanted) {
      const where = [attribute(1, text(this.#table)), attribute(2, text(set))];
      parts.push(message(DELSETELEM, NLM_REQUEST, NFPROTO_INET, 0, this.#sequence++, where));
      if (elements.length === 0) continue;
      parts.push(
        message(NEWSETELEM, NLM_REQUEST | NLM_CREATE, NFPROTO_INET, 0, this.#sequence++, [
          ...where,
          nest(3, elements.map(leaseElement)),
        ]),
      );
    }
    // The acknowledgement of the last message stands for the transaction; errors come for the message that failed.
    const last = parts.pop()!;
    last.writeUInt16LE(last.readUInt16LE(6) | NLM_ACK, 6);
    parts.push(last, message(0x11, NLM_REQUEST, 0, SUBSYS_NFTABLES, this.#sequence++, []));
    fs.writeSync(this.#fd, Buffer.concat(parts));
    this.#receive(last.readUInt32LE(8), "renewing a lease", undefined, first);
  }

  /** What is left of the leases held now, by the names of the sets and maps, out of those given. */
  leases(names: string[]): Map<string, HeldLease> {
    const GETSETELEM = (SUBSYS_NFTABLES << 8) | 13;
    const found = new Map<string, HeldLease>();
    for (const name of names) {
      const sequence = this.#sequence++;
      fs.writeSync(
        this.#fd,
        message(GETSETELEM, NLM_REQUEST | NLM_DUMP, NFPROTO_INET, 0, sequence, [
          attribute(1, text(this.#table)),
          attribute(2, text(name)),
        ]),
      );
      const buffer = this.#buffer;
      this.#receive(sequence, "reading a lease", (start, end) => {
        eachAttribute(buffer, start + 20, end, (type, from, to) => {
          // An empty set answers with an empty list.
          if (type !== 3) return;
          eachAttribute(buffer, from, to, (_, elementFrom, elementTo) => {
            const lease = heldLease(buffer, elementFrom, elementTo);
            if (lease.seconds >= (found.get(name)?.seconds ?? 0)) found.set(name, lease);
          });
        });
      });
    }
    return found;
  }

  #receive(until: number, what: string, each?: (start: number, end: number) => void, from = until): void {
    for (;;) {
      const length = readOnce(this.#fd, this.#buffer, what);
      let at = 0;
      while (at + 16 <= length) {
        const size = this.#buffer.readUInt32LE(at);
        if (size < 16 || at + size > length) break;
        const type = this.#buffer.readUInt16LE(at + 4);
        const sequence = this.#buffer.readUInt32LE(at + 8);
        // An answer to an earlier request that was given up on is not ours to read.
        if (sequence >= from && sequence <= until) {
          if (type === NLMSG_DONE) return;
          if (type === NLMSG_ERROR) {
            const errno = -this.#buffer.readInt32LE(at + 16);
            if (errno !== 0) throw new NetlinkError(what, errno);
            if (sequence === until) return;
          } else each?.(at, at + size);
        }
        at += (size + 3) & ~3;
      }
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

function readOnce(fd: number, buffer: Buffer, what: string): number {
  try {
    return fs.readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    throw new Error(`${what}: no answer from the kernel`, { cause: error });
  }
}

export type Sample = { prefix: string; bytes: Uint8Array };

type Group = { group: number; copyBytes: number; receiveBytes: number; queueThreshold: number };

/** Makes the socket the listener of a group; closes it when that fails. */
function bindToGroup(fd: number, buffer: Buffer, { group, copyBytes, receiveBytes, queueThreshold }: Group): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, ptr(int32(receiveBytes)), 4);
  libc.setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, ptr(int32(1)), 4);
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
const BATCH_BYTES = 1 << 14;
const MSG_DONTWAIT = 0x40;
/** More batches than the socket's buffer holds: no flood keeps the reader here. */
const MAX_BATCHES = 64;

/** Takes a packet of `buffer[from, to)`; `at`, epoch milliseconds, is the kernel's time, or 0 when it gave none. */
export type TakePacket = (at: number, buffer: Uint8Array, from: number, to: number) => void;

/**
 * An NFLOG group that wakes nobody: the kernel gathers its samples, and they are read when the agent is awake anyway. Reading leaves no
 * garbage.
 */
export class NflogQueue {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BATCH_BYTES);

  constructor(group: number, copyBytes: number) {
    this.#fd = open(1000);
    bindToGroup(this.#fd, this.#buffer, { group, copyBytes, receiveBytes: 1 << 18, queueThreshold: 100 });
  }

  /** Hands over what has come; the bytes are only valid during the call. */
  drain(take: TakePacket): void {
    for (let batches = 0; batches < MAX_BATCHES; batches++) {
      const length = libc.recv(this.#fd, ptr(this.#buffer), this.#buffer.length, MSG_DONTWAIT);
      if (length <= 0) return;
      this.#walk(length, take);
    }
  }

  /** A batch holds many messages, and in each the packet is one attribute of several. */
  #walk(length: number, take: TakePacket): void {
    const buffer = this.#buffer;
    let at = 0;
    while (at + 20 <= length) {
      const size = buffer.readUInt32LE(at);
      if (size < 20 || at + size > length) return;
      if (buffer.readUInt16LE(at + 4) === SUBSYS_ULOG << 8) {
        let time = 0;
        let from = 0;
        let to = 0;
        let part = at + 20;
        while (part + 4 <= at + size) {
          const bytes = buffer.readUInt16LE(part);
          if (bytes < 4 || part + bytes > at + size) break;
          const type = buffer.readUInt16LE(part + 2) & 0x3fff;
          if (type === 3 && bytes >= 20) time = timestamp(buffer, part + 4);
          else if (type === 9) {
            from = part + 4;
            to = part + bytes;
          }
          part += (bytes + 3) & ~3;
        }
        if (to > from) take(time, buffer, from, to);
      }
      at += (size + 3) & ~3;
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** Seconds and microseconds, 64 bits each, in milliseconds. */
const timestamp = (buffer: Buffer, at: number): number =>
  (buffer.readUInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4)) * 1000 + buffer.readUInt32BE(at + 12) / 1000;

/** Listens to one NFLOG group. The kernel hands up packet headers as the rules' `log` statements say. */
export class NflogListener {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 16);
  #stopped = false;
  /** Messages that could not be read: the kernel's buffer ran over, or the socket broke. */
  errors = 0;

  constructor(group: number, copyBytes: number) {
    this.#fd = open(1000);
    bindToGroup(this.#fd, this.#buffer, { group, copyBytes, receiveBytes: 1 << 20, queueThreshold: 1 });
  }

  /** Calls back for each sample; the bytes are only valid during the call. */
  listen(onSample: (sample: Sample) => void): void {
    const read = () => {
      if (this.#stopped) return;
      fs.read(this.#fd, this.#buffer, 0, this.#buffer.length, null, (error, length) => {
        if (this.#stopped) return;
        if (!error) this.#parse(length, onSample);
        else if (error.code !== "EAGAIN" && error.code !== "EINTR") this.errors++;
        if (this.errors > 1000) return;
        read();
      });
    };
    read();
  }

  #parse(length: number, onSample: (sample: Sample) => void): void {
    const buffer = this.#buffer;
    let at = 0;
    while (at + 20 <= length) {
      const size = buffer.readUInt32LE(at);
      if (size < 20 || at + size > length) return;
      if (buffer.readUInt16LE(at + 4) === SUBSYS_ULOG << 8) {
        let prefix = "";
        let bytes: Uint8Array | undefined;
        eachAttribute(buffer, at + 20, at + size, (type, from, to) => {
          if (type === 10) prefix = buffer.toString("latin1", from, to - 1);
          else if (type === 9) bytes = buffer.subarray(from, to);
        });
        if (bytes) onSample({ prefix, bytes });
      }
      at += (size + 3) & ~3;
    }
  }

  close(): void {
    this.#stopped = true;
    // The pending read ends with its timeout and finds the socket closed or itself stopped.
    fs.close(this.#fd, () => {});
  }
}
