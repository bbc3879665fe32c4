/**
 * Makes an interface of this network namespace receive packets, many and cheaply, and says what one cost: run by Bun, its request
 * is the first argument. A small XDP program, run by the kernel on frames of ours (BPF_PROG_TEST_RUN with live frames, Linux 5.18),
 * passes them to the stack; no other socket or device is in the way, and the kernel's own clock leaves out when others ran.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { InjectRequest } from "./request.ts";

const { i32, u32, u64, i64, ptr: pointer } = FFIType;
const { symbols: libc } = dlopen("libc.so.6", {
  syscall: { args: [i64, i64, pointer, u64], returns: i64 },
  if_nametoindex: { args: [pointer], returns: u32 },
  perror: { args: [pointer], returns: i32 },
});
const BPF = 321;
const PROG_LOAD = 5;
const PROG_TEST_RUN = 10;
const PROG_TYPE_XDP = 6;
const LIVE_FRAMES = 2;
const XDP_DROP = 1;
const XDP_PASS = 2;
const ATTR_BYTES = 128;
/** Ethernet, IPv4 up to the source address. */
const SOURCE_AT = 26;

const request = InjectRequest.parse(JSON.parse(process.argv[2] ?? "null"));
const frame = new Uint8Array(Buffer.from(request.frame, "base64"));
if (request.listen !== undefined) {
  const socket = createSocket("udp4");
  socket.bind(request.listen);
  await once(socket, "listening");
}
const program = load(instructions(request.randomSource, request.fate === "receive" ? XDP_PASS : XDP_DROP));
writeSync(1, `${JSON.stringify({ nsPerPacket: run(program) })}\n`);
process.exit(0);

/** struct bpf_insn: opcode, registers, offset, immediate. */
function instructions(randomSource: boolean, verdict: number): Uint8Array {
  const code: [number, number, number, number, number][] = [
    ...(randomSource
      ? ([
          [0x61, 6, 1, 0, 0], // r6 = data
          [0x61, 7, 1, 4, 0], // r7 = data_end
          [0xbf, 2, 6, 0, 0],
          [0x07, 2, 0, 0, SOURCE_AT + 4], // r2 = r6 + what is needed
          [0x2d, 2, 7, 2, 0], // beyond the end: leave it
          [0x85, 0, 0, 0, 7], // r0 = a random number
          [0x63, 6, 0, SOURCE_AT, 0], // the source is r0
        ] as [number, number, number, number, number][])
      : []),
    [0xb7, 0, 0, 0, verdict],
    [0x95, 0, 0, 0, 0],
  ];
  const bytes = new Uint8Array(code.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, [opcode, to, from, offset, immediate]] of code.entries()) {
    view.setUint8(index * 8, opcode);
    view.setUint8(index * 8 + 1, to | (from << 4));
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, immediate, true);
  }
  return bytes;
}

function load(code: Uint8Array): number {
  const [attr, view] = attributes();
  const license = Buffer.from("GPL\0");
  const log = Buffer.alloc(1 << 16);
  view.setUint32(0, PROG_TYPE_XDP, true);
  view.setUint32(4, code.length / 8, true);
  view.setBigUint64(8, BigInt(ptr(code)), true);
  view.setBigUint64(16, BigInt(ptr(license)), true);
  view.setUint32(24, 1, true);
  view.setUint32(28, log.length, true);
  view.setBigUint64(32, BigInt(ptr(log)), true);
  const fd = Number(libc.syscall(BPF, PROG_LOAD, ptr(attr), ATTR_BYTES));
  if (fd < 0) throw new Error(`the kernel takes no XDP program: ${log.toString("latin1").replaceAll("\0", "")}`);
  return fd;
}

/** Nanoseconds for one packet. */
function run(fd: number): number {
  const index = libc.if_nametoindex(ptr(Buffer.from(`${request.interface}\0`)));
  if (index === 0) throw new Error(`no interface ${request.interface} in this namespace`);
  // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
  const context = new Uint32Array([0, frame.length, 0, index, 0, 0]);
  const [attr, view] = attributes();
  view.setUint32(0, fd, true);
  view.setUint32(8, frame.length, true);
  view.setBigUint64(16, BigInt(ptr(frame)), true);
  view.setUint32(32, request.packets, true);
  view.setUint32(40, context.byteLength, true);
  view.setBigUint64(48, BigInt(ptr(context)), true);
  view.setUint32(64, LIVE_FRAMES, true);
  if (Number(libc.syscall(BPF, PROG_TEST_RUN, ptr(attr), ATTR_BYTES)) < 0) {
    libc.perror(ptr(Buffer.from("BPF_PROG_TEST_RUN\0")));
    throw new Error("the kernel does not run XDP programs on live frames (Linux 5.18 does)");
  }
  return view.getUint32(36, true);
}

function attributes(): [Uint8Array, DataView] {
  const bytes = new Uint8Array(ATTR_BYTES);
  return [bytes, new DataView(bytes.buffer)];
}
