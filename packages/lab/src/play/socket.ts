import { dlopen, FFIType, ptr, read } from "bun:ffi";

const { i32, u32, u64, ptr: pointer } = FFIType;
const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  sendto: { args: [i32, pointer, u64, i32, pointer, u32], returns: i32 },
  if_nametoindex: { args: [pointer], returns: u32 },
  setns: { args: [i32, i32], returns: i32 },
  __errno_location: { args: [], returns: pointer },
});

const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;
const SOCK_RAW = 3;
/** Sends whole IP packets as they are (raw(7)); IPv6 too. */
const IPPROTO_RAW = 255;
const SOL_SOCKET = 1;
const SO_BROADCAST = 6;
const SO_BINDTODEVICE = 25;
const SO_SNDBUFFORCE = 32;
const CLONE_NEWNET = 0x40000000;
const ETHERNET = 14;
const MAX_FRAME = 65_535 + ETHERNET;

/** From here on new sockets of this thread are in another network namespace; open ones stay where they are. */
export function enterNamespace(fd: number): void {
  if (libc.setns(fd, CLONE_NEWNET) < 0) throw new Error(`cannot enter the namespace (${errno()})`);
}

/** Frames for the wire. The Ethernet source is 06:00 and the packet's number, so that its fate can be told: see verdicts.ts. */
export function openWire(interfaceName: string, destinationMac: string) {
  const socket = open(AF_PACKET, 0);
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setInt32(4, indexOf(interfaceName), true);
  if (libc.bind(socket, ptr(address), 20) < 0) throw new Error(`cannot bind to ${interfaceName} (${errno()})`);
  const frame = new Uint8Array(MAX_FRAME);
  const view = new DataView(frame.buffer);
  frame.set(destinationMac.split(":").map((part) => Number.parseInt(part, 16)));
  frame.set([0x06, 0x00], 6);
  return {
    /** 0, or errno. */
    send(number: number, packet: Uint8Array): number {
      view.setUint32(8, number);
      view.setUint16(12, packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd);
      frame.set(packet, ETHERNET);
      return result(libc.sendto(socket, ptr(frame), ETHERNET + packet.length, 0, null, 0));
    },
  };
}

/** Whole IP packets of either family, through this host's output and postrouting hooks. */
export function openRaw(interfaceName: string) {
  const [socket4, socket6] = [open(AF_INET, IPPROTO_RAW), open(AF_INET6, IPPROTO_RAW)];
  const device = Buffer.from(`${interfaceName}\0`);
  for (const socket of [socket4, socket6]) {
    if (libc.setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, ptr(device), device.length) < 0)
      throw new Error(`cannot bind to ${interfaceName} (${errno()})`);
  }
  option(socket4, SO_BROADCAST, 1);
  const to4 = new DataView(new ArrayBuffer(16));
  to4.setUint16(0, AF_INET, true);
  const to6 = new DataView(new ArrayBuffer(28));
  to6.setUint16(0, AF_INET6, true);
  // Link-local and group addresses need to know on which link.
  to6.setUint32(24, indexOf(interfaceName), true);
  return {
    /** 0, or errno. */
    send(packet: Uint8Array): number {
      const ipv4 = packet[0]! >> 4 === 4;
      const to = ipv4 ? to4 : to6;
      const destination = ipv4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
      new Uint8Array(to.buffer).set(destination, ipv4 ? 4 : 8);
      return result(libc.sendto(ipv4 ? socket4 : socket6, ptr(packet), packet.length, 0, ptr(to), to.byteLength));
    },
  };
}

function open(family: number, protocol: number): number {
  const socket = libc.socket(family, SOCK_RAW, protocol);
  if (socket < 0) throw new Error(`cannot open a raw socket (${errno()}): this needs CAP_NET_RAW`);
  option(socket, SO_SNDBUFFORCE, 8 << 20);
  return socket;
}

function indexOf(interfaceName: string): number {
  const index = libc.if_nametoindex(ptr(Buffer.from(`${interfaceName}\0`)));
  if (index === 0) throw new Error(`no interface ${interfaceName} in this namespace`);
  return index;
}

function option(socket: number, name: number, value: number): void {
  const bytes = new Int32Array([value]);
  if (libc.setsockopt(socket, SOL_SOCKET, name, ptr(bytes), 4) < 0) throw new Error(`setsockopt ${name} (${errno()})`);
}

const result = (sent: number) => (sent >= 0 ? 0 : errno());

function errno(): number {
  const at = libc.__errno_location();
  return at === null ? 0 : read.i32(at);
}
