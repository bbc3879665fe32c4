/**
 * The kernel's test run of XDP programs on live frames (BPF_PROG_TEST_RUN, Linux 5.18), by system calls of its own: frames of ours are
 * handed to the stack as if an interface had received them.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { openSync } from "node:fs";

const { i32, u32, u64, i64, ptr: pointer } = FFIType;
const { symbols: libc } = dlopen("libc.so.6", {
  syscall: { args: [i64, i64, pointer, u64], returns: i64 },
  if_nametoindex: { args: [pointer], returns: u32 },
  unshare: { args: [i32], returns: i32 },
  setns: { args: [i32, i32], returns: i32 },
  sched_setaffinity: { args: [i32, u64, pointer], returns: i32 },
  sched_setscheduler: { args: [i32, i32, pointer], returns: i32 },
  perror: { args: [pointer], returns: i32 },
});
const CLONE_NEWNET = 0x40000000;
const SCHED_FIFO = 1;
const BPF = 321;
const PROG_LOAD = 5;
const PROG_TEST_RUN = 10;
const LINK_CREATE = 28;
const ATTACH_XDP = 37;
const GENERIC_MODE = 2;
/** In every namespace the interface with this index. */
const LOOPBACK = 1;
const PROG_TYPE_XDP = 6;
const LIVE_FRAMES = 2;
const ATTR_BYTES = 128;
/** Ethernet, IPv4 up to its checksum and up to the source address. */
const CHECKSUM_AT = 24;
const SOURCE_AT = 26;

export const VERDICT = { drop: 1, pass: 2 } as const;
/** struct bpf_insn: opcode, registers (first and second), offset, immediate. */
type Instruction = [number, number, number, number, number];

/**
 * Another random IPv4 source for each frame, between 20.0.0.0 and 83.255.255.255, where no address is special. The header's checksum is
 * corrected (RFC 1624) if asked for; that of UDP or TCP is not.
 */
function newSource(correct: boolean): Instruction[] {
  const addHalves = (register: number): Instruction[] => [
    [0xbf, 3, register, 0, 0],
    [0x57, 3, 0, 0, 0xffff],
    [0x0f, 2, 3, 0, 0], // r2 += its low half
    [0x77, register, 0, 0, 16],
    [0x0f, 2, register, 0, 0], // r2 += its high half
  ];
  const fold: Instruction[] = [
    [0xbf, 3, 2, 0, 0],
    [0x77, 3, 0, 0, 16],
    [0x57, 2, 0, 0, 0xffff],
    [0x0f, 2, 3, 0, 0],
  ];
  const work: Instruction[] = [
    [0x85, 0, 0, 0, 7], // r0 = a random number
    [0x54, 0, 0, 0, ~0xc0], // of its first byte six bits
    [0x04, 0, 0, 0, 20],
    [0x61, 1, 6, SOURCE_AT, 0], // r1 = the source until now
    [0x63, 6, 0, SOURCE_AT, 0], // the source is r0
    ...(correct
      ? ([
          [0x69, 2, 6, CHECKSUM_AT, 0],
          [0xa7, 2, 0, 0, 0xffff], // r2 = ~ the checksum
          [0xa4, 1, 0, 0, -1], // r1 = ~ the source until now
          ...addHalves(1),
          ...addHalves(0),
          ...fold,
          ...fold,
          [0xa7, 2, 0, 0, 0xffff],
          [0x6b, 6, 2, CHECKSUM_AT, 0],
        ] satisfies Instruction[])
      : []),
  ];
  return [
    [0x61, 6, 1, 0, 0], // r6 = data
    [0x61, 7, 1, 4, 0], // r7 = data_end
    [0xbf, 2, 6, 0, 0],
    [0x07, 2, 0, 0, SOURCE_AT + 4], // r2 = r6 + what is needed
    [0x2d, 2, 7, work.length, 0], // beyond the end: leave it
    ...work,
  ];
}

/** Loads a program that gives each frame this verdict, and a new source if wanted; resolves to its descriptor. */
export function loadProgram(verdict: number, source: "as_it_is" | "random" | "random_and_right"): number {
  const instructions: Instruction[] = [
    ...(source === "as_it_is" ? [] : newSource(source === "random_and_right")),
    [0xb7, 0, 0, 0, verdict],
    [0x95, 0, 0, 0, 0],
  ];
  const code = new Uint8Array(instructions.length * 8);
  const fields = new DataView(code.buffer);
  for (const [index, [opcode, to, from, offset, immediate]] of instructions.entries()) {
    fields.setUint8(index * 8, opcode);
    fields.setUint8(index * 8 + 1, to | (from << 4));
    fields.setInt16(index * 8 + 2, offset, true);
    fields.setInt32(index * 8 + 4, immediate, true);
  }
  const [attr, view] = attributes();
  const license = Buffer.from("GPL\0");
  const log = Buffer.alloc(1 << 16);
  view.setUint32(0, PROG_TYPE_XDP, true);
  view.setUint32(4, instructions.length, true);
  view.setBigUint64(8, BigInt(ptr(code)), true);
  view.setBigUint64(16, BigInt(ptr(license)), true);
  view.setUint32(24, 1, true);
  view.setUint32(28, log.length, true);
  view.setBigUint64(32, BigInt(ptr(log)), true);
  const program = Number(libc.syscall(BPF, PROG_LOAD, ptr(attr), ATTR_BYTES));
  if (program < 0) throw new Error(`the kernel takes no XDP program: ${log.toString("latin1").replaceAll("\0", "")}`);
  return program;
}

/**
 * Makes the calls that follow short. The kernel forgets a program that no interface has when a test run ends, and then waits some
 * thirty milliseconds for all processors: here the loopback of an empty namespace has it, until this process ends.
 */
export function keepReady(program: number): void {
  const own = openSync("/proc/thread-self/ns/net", "r");
  if (libc.unshare(CLONE_NEWNET) < 0) throw new Error("no network namespace to be had");
  // Open, it stays.
  openSync("/proc/thread-self/ns/net", "r");
  const [attr, view] = attributes();
  view.setUint32(0, program, true);
  view.setUint32(4, LOOPBACK, true);
  view.setUint32(8, ATTACH_XDP, true);
  view.setUint32(12, GENERIC_MODE, true);
  const link = Number(libc.syscall(BPF, LINK_CREATE, ptr(attr), ATTR_BYTES));
  if (libc.setns(own, CLONE_NEWNET) < 0) throw new Error("no way back into the own namespace");
  if (link < 0) throw new Error("the loopback interface takes no XDP program");
}

/** What hands frames to an interface of this network namespace. */
export function openInterface(name: string) {
  const index = libc.if_nametoindex(ptr(Buffer.from(`${name}\0`)));
  if (index === 0) throw new Error(`no interface ${name} in this namespace`);
  // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. In a buffer that stays where it is.
  const context = new Uint32Array(new ArrayBuffer(24));
  context[3] = index;
  const [attr, view] = attributes();
  view.setUint32(40, context.byteLength, true);
  view.setBigUint64(48, BigInt(ptr(context)), true);
  view.setUint32(64, LIVE_FRAMES, true);
  /** Hands over so many copies of a frame, one after the other; gives nanoseconds for each. */
  return function receive(program: number, frame: Uint8Array, count: number): number {
    context[1] = frame.length;
    view.setUint32(0, program, true);
    view.setUint32(8, frame.length, true);
    // The kernel has written the size of its answer there, and would mind that there is no room for it.
    view.setUint32(12, 0, true);
    view.setBigUint64(16, BigInt(ptr(frame)), true);
    view.setUint32(32, count, true);
    if (Number(libc.syscall(BPF, PROG_TEST_RUN, ptr(attr), ATTR_BYTES)) < 0) {
      libc.perror(ptr(Buffer.from("BPF_PROG_TEST_RUN\0")));
      throw new Error("the kernel does not run XDP programs on live frames (Linux 5.18 does)");
    }
    return view.getUint32(36, true);
  };
}

/**
 * This thread runs on one processor alone from here on and before all others there, as a network card's interrupts do. A real-time
 * policy, because where sessions are scheduled as groups a priority counts within its own alone.
 */
export function goBeforeOthers(processor: number): void {
  const mask = new BigUint64Array(new ArrayBuffer(128));
  mask[processor >> 6] = 1n << BigInt(processor & 63);
  if (libc.sched_setaffinity(0, mask.byteLength, ptr(mask)) < 0) throw new Error(`no processor ${processor}`);
  const priority = new Int32Array(new ArrayBuffer(4));
  priority[0] = 1;
  if (libc.sched_setscheduler(0, SCHED_FIFO, ptr(priority)) < 0) throw new Error("no real-time policy to be had");
}

function attributes(): [Uint8Array, DataView] {
  const bytes = new Uint8Array(ATTR_BYTES);
  return [bytes, new DataView(bytes.buffer)];
}
