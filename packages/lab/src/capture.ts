import { inferHost } from "@flowtriq/detection/features";
import { type Address, LINK, networkOffset, type Packet, readPacket } from "@flowtriq/detection/packet";
import { readPcap } from "@flowtriq/detection/pcap";
import type { VpnPort } from "@flowtriq/protocol/lane";
import { checksum } from "./packet.ts";
import type { Played } from "./play/script.ts";

/** A packet of a capture, as the protected host saw it. */
export interface Scene extends Played {
  packet: Packet;
}

export interface CaptureOf {
  /** Undefined: no address takes part in enough of it; then every conversation is played from the end that was spoken to. */
  host: Address | undefined;
  /** In the order of their times, which begin at 0. */
  scenes: Scene[];
  /** Packets of the file that the host has no part in, and why. */
  left: { notIp: number; otherHosts: number; unplayable: number };
}

/**
 * Reads a capture for `play`: which packets arrive at the protected host, as `inferHost` finds it, and which it sends. What a
 * capture cut off is filled up with zeros, because the kernel drops packets that are shorter than they say; no rule looks that far.
 */
export function sceneOf(file: Uint8Array, ports: readonly VpnPort[]): CaptureOf {
  const left = { notIp: 0, otherHosts: 0, unplayable: 0 };
  const read: { at: number; packet: Packet; bytes: Uint8Array }[] = [];
  for (const { at, linkType, bytes, wireLength } of readPcap(file)) {
    const packet = readPacket(bytes, linkType, wireLength);
    if (packet) read.push({ at, packet, bytes: whole(bytes.subarray(networkOffset(bytes, linkType)), packet) });
    else left.notIp++;
  }
  read.sort((a, b) => a.at - b.at);
  const packets = read.map(({ packet }) => packet);
  const host = inferHost(packets, ports);
  const wayOf = host === undefined || packets.some(isLoop) ? wayByConversation() : wayByHost(host);
  const startAt = read[0]?.at ?? 0;
  const scenes: Scene[] = [];
  for (const { at, packet, bytes } of read) {
    const way = wayOf(packet);
    if (way === "other") left.otherHosts++;
    else if (bytes.length < 20 || bytes.length > 65_535) left.unplayable++;
    else scenes.push({ at: at - startAt, way, ...(isLoop(packet) ? fromAfar(packet, bytes, way) : { packet, bytes }) });
  }
  return { host, scenes, left };
}

const isLoop = ({ source, destination }: Packet) => source === destination;

function wayByHost(host: Address) {
  return ({ source, destination }: Packet): "in" | "out" | "other" => {
    if (source === host) return "out";
    // A switch brings a host its own packets and what is meant for all; the rest was seen because the capture listened to everything.
    return destination === host || isForAll(destination, host) ? "in" : "other";
  };
}

/** No rule looks at the destination's address, so the servers of a mixed capture can be played as if they were one. */
function wayByConversation() {
  const speaksFirst = new Map<string, string>();
  return ({ protocol, source, destination, sourcePort, destinationPort }: Packet): "in" | "out" => {
    const [from, to] = [`${source} ${sourcePort}`, `${destination} ${destinationPort}`];
    const conversation = `${protocol} ${[from, to].sort().join(" ")}`;
    if (!speaksFirst.has(conversation)) speaksFirst.set(conversation, from);
    return isForAll(destination, undefined) || speaksFirst.get(conversation) === from ? "in" : "out";
  };
}

/** Multicast, broadcast, and the broadcast address of the host's own /24. */
function isForAll(destination: Address, host: Address | undefined): boolean {
  if (typeof destination === "string") return destination.charCodeAt(0) >> 8 === 0xff;
  if (destination >>> 28 === 0xe || destination === 0xffffffff) return true;
  return typeof host === "number" && destination >>> 8 === host >>> 8 && (destination & 255) === 255;
}

/** A capture of the loopback interface has one address; on a wire the other end has another (192.0.2.1, 2001:db8::1). */
function fromAfar(packet: Packet, bytes: Uint8Array, way: "in" | "out"): Pick<Scene, "packet" | "bytes"> {
  const ipv4 = packet.family === 4;
  const afar = ipv4 ? [192, 0, 2, 1] : [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1];
  const moved = bytes.slice();
  moved.set(afar, (ipv4 ? 12 : 8) + (way === "in" ? 0 : afar.length));
  return { packet: readPacket(moved, LINK.raw)!, bytes: ipv4 ? withChecksum(moved) : moved };
}

/** As the wire carries it: captured whole, and with what a network card fills in after a capture has seen it. */
function whole(bytes: Uint8Array, { family, wireLength }: Packet): Uint8Array {
  const full = new Uint8Array(Math.min(wireLength, 65_535));
  full.set(bytes.subarray(0, full.length));
  const view = new DataView(full.buffer);
  if (family === 6 && full.length >= 40 && view.getUint16(4) === 0) view.setUint16(4, full.length - 40);
  if (family === 6 || full.length < 20) return full;
  if (view.getUint16(2) === 0) view.setUint16(2, full.length);
  return withChecksum(full);
}

/** Anonymised captures, and those taken on the sender, have wrong header checksums; bridges drop such packets. */
function withChecksum(ipv4: Uint8Array): Uint8Array {
  ipv4.fill(0, 10, 12);
  new DataView(ipv4.buffer, ipv4.byteOffset).setUint16(10, checksum(ipv4.subarray(0, (ipv4[0]! & 15) * 4)));
  return ipv4;
}

export interface Pace {
  /** Longer silences are shortened to this. */
  gapMs: number;
  /** A capture that is still longer than this is played faster. */
  longestMs: number;
  /** And faster by this. */
  speed?: number;
}

/** The same packets at another pace: bursts keep their rate unless the whole would take too long. */
export function paced<T extends Played>(packets: readonly T[], { gapMs, longestMs, speed = 1 }: Pace): T[] {
  let at = 0;
  let before = packets[0]?.at ?? 0;
  const moments = packets.map((packet) => {
    at += Math.min(packet.at - before, gapMs);
    before = packet.at;
    return at;
  });
  const factor = Math.min(1, longestMs / Math.max(1, at)) / speed;
  return packets.map((packet, index) => ({ ...packet, at: moments[index]! * factor }));
}
