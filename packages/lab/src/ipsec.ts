import type { Random } from "./random.ts";

const INITIATOR = 0x08;
const NO_RESPONDER = [0, 0, 0, 0, 0, 0, 0, 0];

/** A first message of IKEv2 (RFC 7296): plausible security association, key exchange and nonce. */
export function initRequest(random: Random): Uint8Array {
  const transform = (last: boolean, type: number, id: number, attribute: number[] = []) => [
    ...[last ? 0 : 3, 0, 0, 8 + attribute.length],
    ...[type, 0, 0, id],
    ...attribute,
  ];
  const transforms = [
    ...transform(false, 1, 12, [0x80, 14, 1, 0]), // AES-CBC-256
    ...transform(false, 2, 5), // PRF HMAC-SHA2-256
    ...transform(false, 3, 12), // HMAC-SHA2-256-128
    ...transform(true, 4, 19), // group 19
  ];
  const proposal = [0, 0, 0, 8 + transforms.length, 1, 1, 0, 4, ...transforms];
  const association = [34, 0, 0, 4 + proposal.length, ...proposal];
  const keyExchange = [40, 0, 0, 72, 0, 19, 0, 0, ...random.bytes(64)];
  const nonce = [0, 0, 0, 36, ...random.bytes(32)];
  return message([...random.bytes(8), ...NO_RESPONDER], { next: 33, exchange: 34, id: 0 }, [
    ...association,
    ...keyExchange,
    ...nonce,
  ]);
}

/** A second message (IKE_AUTH): one encrypted payload, to SPIs that are made up. */
export function authRequest(random: Random): Uint8Array {
  const encrypted = random.bytes(random.pick([188, 220, 236, 364]));
  const length = 4 + encrypted.length;
  const payload = [35, 0, length >> 8, length & 255, ...encrypted];
  return message([...random.bytes(16)], { next: 46, exchange: 35, id: 1 }, payload);
}

/** ESP (RFC 4303) of an SPI in the range that strongSwan allots from. */
export function espPacket(random: Random): Uint8Array {
  const packet = random.bytes(4 * random.between(12, 340));
  packet.set([0xc0 | random.below(16), random.below(256)]);
  packet.set([0, 0], 4);
  return packet;
}

function message(
  spis: number[],
  { next, exchange, id }: { next: number; exchange: number; id: number },
  rest: number[],
) {
  const length = 28 + rest.length;
  const bytes = Uint8Array.from([...spis, next, 0x20, exchange, INITIATOR, 0, 0, 0, id, 0, 0, 0, 0, ...rest]);
  new DataView(bytes.buffer).setUint32(24, length);
  return bytes;
}
