import { Baselines } from "@flowtriq/detection/baseline";
import { Detector, type DetectorOptions } from "@flowtriq/detection/detect";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import { hostLane, type LaneId, vpnLane } from "@flowtriq/protocol/lane";

/** Enough for the first judgement of any lane. */
const PACKETS = 32;
const PACKETS_PER_MS = 10;
const DNS_ANSWER = [0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0, 1];
const DATAGRAM_BYTES = 176;
const UDP_AT = 20;
const PAYLOAD_AT = 28;

/**
 * Runs the path from sample to verdict on made-up packets and detectors of its own, for a flood of answers and for one of
 * handshakes: the first attack should not wait for code that has never run.
 */
export function warmUp(options: DetectorOptions): void {
  run(options, hostLane("reflected"), (n) => datagram(n, 53, 51_200 + n, DNS_ANSWER));
  for (const port of options.ports) {
    const opening = OPENINGS[port.protocol];
    if (port.transport === "udp" && opening) {
      run(options, vpnLane(port, "handshake"), (n) => datagram(n, 40_000 + n, port.port, opening));
    }
  }
}

const OPENINGS: Record<string, number[]> = { wireguard: [1, 0, 0, 0], openvpn: [0x38, 1] };

function run(options: DetectorOptions, lane: LaneId, build: (n: number) => Uint8Array): void {
  const detector = new Detector({ ...options, baselines: new Baselines(), newId: () => "atk_warm_up" });
  for (let n = 0; n < PACKETS; n++) {
    const packet = readPacket(build(n), LINK.raw);
    // As quick as a flood: at a slower pace some lanes would wait for the counters.
    if (packet) detector.sample(n / PACKETS_PER_MS, lane, packet);
  }
}

/** IPv4 and UDP from 198.18.0.0/15, the range for benchmarks (RFC 2544), with the length of a WireGuard initiation. */
function datagram(n: number, from: number, to: number, payload: number[]): Uint8Array {
  const bytes = new Uint8Array(DATAGRAM_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, 0, DATAGRAM_BYTES, 0, n, 0, 0, 64, 17, 0, 0, 198, 18, n, n, 192, 0, 2, 1]);
  view.setUint16(UDP_AT, from);
  view.setUint16(UDP_AT + 2, to);
  view.setUint16(UDP_AT + 4, DATAGRAM_BYTES - UDP_AT);
  bytes.set(payload, PAYLOAD_AT);
  bytes[PAYLOAD_AT + 4] = n + 1;
  return bytes;
}
