/**
 * The self-test's traffic: one WireGuard session that is genuine by all that a server can tell, and junk at its port from
 * everywhere. Addresses are those of documentation (RFC 5737) and benchmarks (RFC 2544), the layout is that of the WireGuard
 * whitepaper, 5.4.
 */
export const PORT = 51820;
export const SERVER = [192, 0, 2, 1] as const;
export const CLIENT = [192, 0, 2, 2] as const;
const CLIENT_PORT = 40_000;
/** The client's port after its NAT has forgotten it: half of its packets come from there. */
const ROAMED_PORT = 41_999;
const SESSION = [0x5e, 0x1f, 0x7e, 0x57];
const RESPONSE_BYTES = 92;
const DATA_BYTES = 112;
const JUNK_BYTES = 400;

/** Enough for any judgement, and over in a second. */
export const JUNK_PACKETS = 20_000;
export const JUNK_PPS = 20_000;
/** Between so many packets of junk comes a genuine one. */
export const GENUINE_EVERY = 50;

export type MadeUp = { kind: "junk" | "genuine"; packet: Uint8Array };

/** The server's answer to a handshake: from it the kernel learns who is real. As a UDP payload, and as an IPv4 packet. */
export const RESPONSE = Uint8Array.from({ length: RESPONSE_BYTES }, (_, at) =>
  at === 0 ? 2 : at >= 4 && at < 8 ? SESSION[at - 4]! : at > 11 ? at : 0,
);
export const RESPONSE_TO = { address: CLIENT.join("."), port: CLIENT_PORT };
export const responsePacket = (): Uint8Array => udp(SERVER, PORT, CLIENT, CLIENT_PORT, RESPONSE);

/** Junk with genuine packets in between. `random` fills a buffer. */
export function* attack(random: (bytes: Uint8Array) => void): Generator<MadeUp> {
  const noise = new Uint8Array(JUNK_BYTES + 8);
  for (let n = 1; n <= JUNK_PACKETS; n++) {
    random(noise);
    const from = 1_024 + (((noise[0]! << 8) | noise[1]!) % 60_000);
    // 198.18.0.0/15, and a first byte that is no message of the protocol.
    noise[8] = 0x80 | noise[8]!;
    yield {
      kind: "junk",
      packet: udp([198, 18 | (noise[2]! & 1), noise[3]!, noise[4]!], from, SERVER, PORT, noise.subarray(8)),
    };
    if (n % GENUINE_EVERY === 0) yield { kind: "genuine", packet: data(n / GENUINE_EVERY) };
  }
}

function data(counter: number): Uint8Array {
  const payload = new Uint8Array(DATA_BYTES);
  payload.set([4, 0, 0, 0, ...SESSION]);
  new DataView(payload.buffer).setUint32(8, counter, true);
  return udp(CLIENT, counter % 2 === 0 ? CLIENT_PORT : ROAMED_PORT, SERVER, PORT, payload);
}

const HEADERS_BYTES = 28;

/** IPv4 and UDP without a checksum of its own, which IPv4 allows (RFC 768). */
function udp(
  source: readonly number[],
  from: number,
  destination: readonly number[],
  to: number,
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(HEADERS_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, bytes.length >> 8, bytes.length & 255, 0, 0, 0, 0, 64, 17, 0, 0, ...source, ...destination]);
  view.setUint16(10, headerChecksum(view));
  view.setUint16(20, from);
  view.setUint16(22, to);
  view.setUint16(24, 8 + payload.length);
  bytes.set(payload, HEADERS_BYTES);
  return bytes;
}

function headerChecksum(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
