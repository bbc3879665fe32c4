import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { addressText, type Packet, readPacket } from "@flowtriq/detection/packet";
import { readPcap } from "@flowtriq/detection/pcap";
import type { Host } from "./namespaces.ts";
import { record } from "./record.ts";

/** A packet of a client, as somebody on its way to the server sees it. */
export interface Sniffed {
  source: string;
  sourcePort: number;
  /** UDP payload, base64: what a flood takes as `recorded`. */
  payload: string;
}

export interface SniffOptions {
  port: number;
  packets: number;
  /** Which are of interest, by their UDP payload. Left out: all. */
  which?: (payload: Uint8Array) => boolean;
  timeoutMs?: number;
}

/** The next UDP packets that a client sends to this port from its first address; it must be sending. */
export async function sniff(client: Host, options: SniffOptions): Promise<Sniffed[]> {
  const { port, packets, which = () => true, timeoutMs = 10_000 } = options;
  const directory = mkdtempSync(join(tmpdir(), "sniff-"));
  const recording = await record(client, join(directory, "packets.pcap"), {
    filter: [`udp dst port ${port} and (src host ${client.address[4]} or src host ${client.address[6]})`],
  });
  try {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const seen = packetsOf(recording.file).filter(({ payload }) => which(payload));
      if (seen.length >= packets) return seen.slice(0, packets).map(toSniffed);
      if (performance.now() > deadline)
        throw new Error(`${client.namespace} sent ${seen.length} of ${packets} packets`);
      await delay(50);
    }
  } finally {
    await recording.stop();
    rmSync(directory, { recursive: true });
  }
}

function packetsOf(file: string): Packet[] {
  const bytes = readFileSync(file);
  // The file has no header until tcpdump has written one.
  if (bytes.length < 24) return [];
  return [...readPcap(bytes)].flatMap((entry) => readPacket(entry.bytes, entry.linkType, entry.wireLength) ?? []);
}

const toSniffed = ({ source, sourcePort, payload }: Packet): Sniffed => ({
  source: addressText(source),
  sourcePort,
  payload: Buffer.from(payload).toString("base64"),
});
