import { Detector, type DetectorOptions } from "@flowtriq/detection/detect";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import { hostLane } from "@flowtriq/protocol/lane";

/** Enough for the first judgement. */
const PACKETS = 16;

/**
 * Runs the path from sample to verdict once, on made-up packets and a detector of its own: the first attack should not wait
 * for code that has never run.
 */
export function warmUp(options: DetectorOptions): void {
  const detector = new Detector({ ...options, baselines: {}, newId: () => "atk_warm_up" });
  for (let n = 0; n < PACKETS; n++) {
    const packet = readPacket(answer(n), LINK.raw);
    if (packet) detector.sample(n, hostLane("reflected"), packet);
  }
}

/** An IPv4 DNS answer from 198.18.0.0/15, the range for benchmarks (RFC 2544), that nobody asked for. */
function answer(n: number): Uint8Array {
  const bytes = new Uint8Array(128);
  bytes.set([0x45, 0, 0x04, 0, 0, n, 0, 0, 64, 17, 0, 0, 198, 18, n, n, 192, 0, 2, 1, 0, 53, 200, n, 0x03, 0xec, 0, 0]);
  bytes.set([n, n, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0, 1], 28);
  return bytes;
}
