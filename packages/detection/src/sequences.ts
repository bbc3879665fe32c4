import type { LaneId, VpnPort, VpnProtocol } from "@flowtriq/protocol/lane";
import type { Vector } from "@flowtriq/protocol/vector";
import { type Contradictions, contradictionsIn } from "./contradictions.ts";
import type { Sample } from "./features.ts";
import { portFor } from "./lanes.ts";
import { addressText, type Packet } from "./packet.ts";
import { IKE, OPENVPN, udpPayloadLength, WIREGUARD, wireguardType, word } from "./shapes.ts";

/** Where a session's packets carry their number in the clear, and what follows from it. */
export interface Layout {
  vector: Vector;
  /** Undefined: a packet without a number, such as a keepalive. */
  read(packet: Packet): { session: string; counter: number } | undefined;
  /** No session counts as far as this. */
  end: number;
  /** Whether the number stands there whatever the two sides have agreed on. */
  certain: boolean;
}

/** A sampled packet of a session, and its number there. */
export interface Numbered {
  sample: Sample;
  session: string;
  counter: number;
  layout: Layout;
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, "0")}`;
const WORD = 2 ** 32;

/** Little-endian, as WireGuard writes. */
const swapped = (value: number) =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;

/** Offsets in octets of UDP payload. Ports that are held to no shape have none. */
const LAYOUTS: Partial<Record<VpnProtocol, Layout>> = {
  wireguard: {
    vector: "wireguard_data_flood",
    certain: true,
    // A session lives for three minutes (whitepaper 6.1): so far it would take 23 million packets a second.
    end: WORD,
    read: (packet) => {
      const { payload } = packet;
      const isData = wireguardType(packet, false) === 4 && udpPayloadLength(packet) >= WIREGUARD.data.minLength;
      if (!isData || payload.length < WIREGUARD.data.counterAt + 8) return undefined;
      const [low, high] = [word(payload, WIREGUARD.data.counterAt), word(payload, WIREGUARD.data.counterAt + 4)];
      const session = `index ${hex(word(payload, WIREGUARD.data.receiverAt))}`;
      return { session, counter: swapped(high) * WORD + swapped(low) };
    },
  },
  openvpn: {
    vector: "openvpn_data_flood",
    // Only AEAD ciphers put the packet id in front; CBC hides it, and newer keys have one of 16 and 48 bits.
    certain: false,
    end: WORD,
    read: ({ payload, source, sourcePort }) => {
      const head = payload[0] ?? 0;
      if (head >> 3 !== OPENVPN.dataV2 || payload.length < OPENVPN.dataV2PacketIdAt + 4) return undefined;
      // A peer id may stand for nobody (0xffffff), so it is the sender's.
      const peer = `peer ${word(payload, 0) & 0xffffff} at ${addressText(source)}:${sourcePort}`;
      return { session: `key ${head & 7} of ${peer}`, counter: word(payload, OPENVPN.dataV2PacketIdAt) };
    },
  },
  ipsec_nat_t: {
    vector: "esp_flood",
    certain: true,
    // Of an extended sequence number only the lower half is sent (RFC 4303 2.2.1): it may begin anew.
    end: WORD,
    read: (packet) => {
      const { payload } = packet;
      const spi = word(payload, 0);
      const isEsp = spi >= IKE.natT.minSpi && udpPayloadLength(packet) >= IKE.natT.minEspLength;
      return isEsp && payload.length >= 8 ? { session: `SPI ${hex(spi)}`, counter: word(payload, 4) } : undefined;
    },
  },
};

const MAX_KEPT = 1024;
const MAX_READINGS = 256;

/** How many packets of the lane had come by some time, between the readings of its counter. */
export class Arrivals {
  readonly #readings: { at: number; packets: number }[] = [];

  note(at: number, packets: number): void {
    const last = this.#readings.at(-1);
    // The clock was set, or the table loaded anew.
    if (last && (at <= last.at || packets < last.packets)) this.#readings.length = 0;
    this.#readings.push({ at, packets });
    if (this.#readings.length > MAX_READINGS) this.#readings.shift();
  }

  /** Before the first and after the last reading nothing is known to have come. */
  between(from: number, to: number): number {
    return Math.max(0, this.#until(to) - this.#until(from));
  }

  #until(at: number): number {
    const readings = this.#readings;
    const next = readings.findIndex((reading) => reading.at > at);
    if (next < 0) return readings.at(-1)?.packets ?? 0;
    const [before, after] = [readings[next - 1], readings[next]!];
    if (!before) return after.packets;
    return before.packets + ((after.packets - before.packets) * (at - before.at)) / (after.at - before.at);
  }
}

/**
 * The packets of proved sessions among the samples, with the numbers that their sessions gave them. A peer may send as much as it likes;
 * but nobody else can go on where it is, so what replays its packets or makes them up contradicts the order of its numbers.
 */
export class Sequences {
  /** Packets of sessions that were sampled, with a number or without. */
  samples = 0;
  readonly #arrivals = new Arrivals();
  #numbered = 0;
  #kept: Numbered[] = [];
  #stride = 1;

  /** `sampleOf` is asked for those that are kept. */
  add(packet: Packet, ports: readonly VpnPort[], sampleOf: () => Sample): void {
    this.samples++;
    const port = portFor(packet.destinationPort, "udp", ports);
    const layout = port && port.strictness !== "lenient" ? LAYOUTS[port.protocol] : undefined;
    const found = layout?.read(packet);
    if (!layout || !found) return;
    if (this.#numbered++ % this.#stride !== 0) return;
    this.#kept.push({ sample: sampleOf(), layout, ...found });
    if (this.#kept.length < MAX_KEPT) return;
    this.#stride *= 2;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0);
  }

  /** A reading of a lane's counter. */
  note(lane: LaneId, at: number, packets: number): void {
    if (isSessionLane(lane)) this.#arrivals.note(at, packets);
  }

  /** What cannot be the sessions' own; undefined if there is nothing of the kind. */
  get contradictions(): Contradictions | undefined {
    const share = this.#numbered / Math.max(1, this.samples);
    return contradictionsIn(this.#kept, {
      samples: this.samples,
      share,
      between: (from, to) => this.#arrivals.between(from, to) * share,
    });
  }
}

/** Lanes of UDP packets whose index or sender the server's own packets have proved. */
export const isSessionLane = (lane: LaneId): boolean => lane.startsWith("udp:") && lane.endsWith(":data");
