import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readPcap } from "@flowtriq/detection/pcap";
import { startCrowd } from "@flowtriq/lab/crowd";
import type { Topology } from "@flowtriq/lab/namespaces";
import { record } from "@flowtriq/lab/record";
import type { Wireguard } from "@flowtriq/lab/wireguard";

/** Genuine clients whose handshakes are recorded. */
const RECORDED = 16;
const LISTEN_MS = 1_000;
/** Ethernet, IPv4 and UDP; of WireGuard's data the second word. */
const INDEX_AT = 14 + 20 + 8 + 4;

/** The server's index of a client's session over IPv4, as it is seen on the client's wire. It must be sending. */
export async function sniffIndex({ clients }: Topology, { port }: Wireguard): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    const file = join(directory, "sniffed.pcap");
    const isData = ["udp", "dst", "port", `${port}`, "and", "udp[8:4]", "=", "0x04000000"];
    const recording = await record(clients[0]!, file, { filter: isData, packets: 1 });
    await delay(LISTEN_MS);
    await recording.stop();
    const [packet] = readPcap(readFileSync(file));
    if (!packet) throw new Error("the client whose index was wanted has sent nothing");
    const { buffer, byteOffset, byteLength } = packet.bytes;
    return new DataView(buffer, byteOffset, byteLength).getUint32(INDEX_AT, true);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Handshakes that the server has just finished, and whoever made them. */
export async function sniffHandshakes(lab: Topology, wireguard: Wireguard) {
  const crowd = await startCrowd(lab, wireguard, lab.clients[0]!, { clients: RECORDED });
  await crowd.connect();
  return { recorded: await crowd.initiations(), stop: () => crowd.stop() };
}
