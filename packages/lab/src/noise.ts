import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { hkdf } from "@noble/hashes/hkdf.js";

/**
 * The initiator's side of WireGuard (whitepaper 5.4: Noise_IKpsk2 over X25519, ChaCha20-Poly1305 and BLAKE2s), so that thousands
 * of clients fit into one process. A tool for tests: it keeps no secret, and knows no timers.
 */

export interface KeyPair {
  privateKey: KeyObject;
  /** 32 bytes, as in messages. */
  publicKey: Uint8Array;
}

/** One client and its server, with what both know before the first message. */
export interface Acquaintance {
  own: KeyPair;
  serverPublicKey: Uint8Array;
  /** DH of the two static keys. */
  shared: Uint8Array;
  presharedKey: Uint8Array;
}

/** A handshake under way: the message as it is sent, and what its answer is read with. */
export interface Initiation {
  message: Uint8Array;
  /** Ours: the answer names it. */
  index: number;
  ephemeral: KeyPair;
  state: Transcript;
  known: Acquaintance;
}

/** Keys of a finished handshake. */
export interface Session {
  index: number;
  /** The server's: data carries it. */
  receiverIndex: number;
  sendingKey: Uint8Array;
  receivingKey: Uint8Array;
  /** Number of the next data packet. */
  counter: bigint;
}

export const TYPE = { initiation: 1, response: 2, cookieReply: 3, data: 4 } as const;
export const INITIATION_BYTES = 148;
const RESPONSE_BYTES = 92;
const COOKIE_REPLY_BYTES = 64;
const DATA_HEADER_BYTES = 16;
const MAC1_AT = 116;
const MAC2_AT = 132;
const NOTHING = new Uint8Array(0);

export const keyPair = (): KeyPair => fromPrivate(generateKeyPairSync("x25519").privateKey);

/** A key pair from the 32 bytes of its private key (RFC 8410: PKCS #8 is a fixed head and these). */
export function keyPairOf(bytes: Uint8Array): KeyPair {
  const der = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), bytes]);
  return fromPrivate(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}

function fromPrivate(privateKey: KeyObject): KeyPair {
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  return { privateKey, publicKey: Buffer.from(x!, "base64url") };
}

/** X25519. Throws on a public key of low order. */
export function dh(own: KeyPair, publicKey: Uint8Array): Uint8Array {
  const key = { kty: "OKP", crv: "X25519", x: Buffer.from(publicKey).toString("base64url") };
  return diffieHellman({
    privateKey: own.privateKey,
    publicKey: createPublicKey({ key, format: "jwk" }),
  });
}

export const acquaint = (
  own: KeyPair,
  serverPublicKey: Uint8Array,
  presharedKey: Uint8Array = new Uint8Array(32),
): Acquaintance => ({ own, serverPublicKey, shared: dh(own, serverPublicKey), presharedKey });

/** Chaining key and hash of what was said so far: both sides come to the same. */
export class Transcript {
  #chain: Uint8Array;
  #hash: Uint8Array;

  constructor(serverPublicKey: Uint8Array) {
    this.#chain = blake2s(text("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
    this.#hash = blake2s(Buffer.concat([this.#chain, text("WireGuard v1 zx2c4 Jason@zx2c4.com")]));
    this.said(serverPublicKey);
  }

  said(bytes: Uint8Array): void {
    this.#hash = blake2s(Buffer.concat([this.#hash, bytes]));
  }

  /** Mixes a secret into the chaining key, and gives `keys` more keys of it. */
  mix(secret: Uint8Array, keys = 0): Uint8Array[] {
    const [chain, ...more] = derive(this.#chain, secret, 1 + keys);
    this.#chain = chain!;
    return more;
  }

  seal(key: Uint8Array, plain: Uint8Array): Uint8Array {
    const sealed = chacha20poly1305(key, nonce(0n), this.#hash).encrypt(plain);
    this.said(sealed);
    return sealed;
  }

  /** Throws if it was sealed by somebody else. */
  open(key: Uint8Array, sealed: Uint8Array): Uint8Array {
    const plain = chacha20poly1305(key, nonce(0n), this.#hash).decrypt(sealed);
    this.said(sealed);
    return plain;
  }

  /** The initiator's sending key, then its receiving key. */
  split(): [Uint8Array, Uint8Array] {
    const [first, second] = derive(this.#chain, NOTHING, 2);
    return [first!, second!];
  }

  copy(): Transcript {
    const copied = new Transcript(NOTHING);
    copied.#chain = this.#chain;
    copied.#hash = this.#hash;
    return copied;
  }
}

/** The first message. `at` is in milliseconds since the epoch and must grow with each of one client's. */
export function initiate(known: Acquaintance, at: number): Initiation {
  const ephemeral = keyPair();
  const state = new Transcript(known.serverPublicKey);
  const message = Buffer.alloc(INITIATION_BYTES);
  const index = randomBytes(4).readUInt32LE();
  message.writeUInt32LE(TYPE.initiation, 0);
  message.writeUInt32LE(index, 4);
  message.set(ephemeral.publicKey, 8);
  state.mix(ephemeral.publicKey);
  state.said(ephemeral.publicKey);
  const [first] = state.mix(dh(ephemeral, known.serverPublicKey), 1);
  message.set(state.seal(first!, known.own.publicKey), 40);
  const [second] = state.mix(known.shared, 1);
  message.set(state.seal(second!, tai64n(at)), 88);
  message.set(mac(mac1Key(known.serverPublicKey), message.subarray(0, MAC1_AT)), MAC1_AT);
  return { message, index, ephemeral, state, known };
}

/** Writes mac2 into a message that was not sent yet: the proof that its sender got the cookie. */
export function showCookie({ message }: Initiation, cookie: Uint8Array): void {
  message.set(mac(cookie, message.subarray(0, MAC2_AT)), MAC2_AT);
}

/** Keys from the server's answer; undefined if it answers something else, or is not genuine. */
export function finish({ state, index, ephemeral, known }: Initiation, response: Uint8Array): Session | undefined {
  const message = Buffer.from(response);
  if (message.length !== RESPONSE_BYTES || message.readUInt32LE(0) !== TYPE.response) return undefined;
  if (message.readUInt32LE(8) !== index) return undefined;
  // A forged answer must not spoil the state that the genuine one needs.
  const after = state.copy();
  const theirs = message.subarray(12, 44);
  try {
    after.mix(theirs);
    after.said(theirs);
    after.mix(dh(ephemeral, theirs));
    after.mix(dh(known.own, theirs));
    const [temporary, key] = after.mix(known.presharedKey, 2);
    after.said(temporary!);
    after.open(key!, message.subarray(44, 60));
  } catch {
    return undefined;
  }
  const [sendingKey, receivingKey] = after.split();
  return { index, receiverIndex: message.readUInt32LE(4), sendingKey, receivingKey, counter: 0n };
}

/** The cookie that a server under load wants to see in the next try's mac2; undefined if it is no answer to this message. */
export function readCookieReply(
  { message: sent, index, known }: Initiation,
  reply: Uint8Array,
): Uint8Array | undefined {
  const message = Buffer.from(reply);
  if (message.length !== COOKIE_REPLY_BYTES || message.readUInt32LE(0) !== TYPE.cookieReply) return undefined;
  if (message.readUInt32LE(4) !== index) return undefined;
  const key = blake2s(Buffer.concat([text("cookie--"), known.serverPublicKey]));
  try {
    return xchacha20poly1305(key, message.subarray(8, 32), sent.subarray(MAC1_AT, MAC2_AT)).decrypt(
      message.subarray(32),
    );
  } catch {
    return undefined;
  }
}

/** The next data packet of a session; without contents it is a keepalive. */
export function toData(session: Session, contents: Uint8Array = NOTHING): Uint8Array {
  const padded = new Uint8Array(Math.ceil(contents.length / 16) * 16);
  padded.set(contents);
  const header = Buffer.alloc(DATA_HEADER_BYTES);
  header.writeUInt32LE(TYPE.data, 0);
  header.writeUInt32LE(session.receiverIndex, 4);
  header.writeBigUInt64LE(session.counter, 8);
  const sealed = chacha20poly1305(session.sendingKey, nonce(session.counter)).encrypt(padded);
  session.counter += 1n;
  return Buffer.concat([header, sealed]);
}

/** What a data packet carries, padding included; undefined if it belongs to another session, or is not genuine. */
export function readData(session: Session, packet: Uint8Array): Uint8Array | undefined {
  const message = Buffer.from(packet);
  if (message.length < DATA_HEADER_BYTES + 16 || message.readUInt32LE(0) !== TYPE.data) return undefined;
  if (message.readUInt32LE(4) !== session.index) return undefined;
  const counter = message.readBigUInt64LE(8);
  try {
    return chacha20poly1305(session.receivingKey, nonce(counter)).decrypt(message.subarray(DATA_HEADER_BYTES));
  } catch {
    return undefined;
  }
}

export const mac1Key = (serverPublicKey: Uint8Array): Uint8Array =>
  blake2s(Buffer.concat([text("mac1----"), serverPublicKey]));

/** Keyed BLAKE2s, 16 bytes: mac1 and mac2. */
export const mac = (key: Uint8Array, bytes: Uint8Array): Uint8Array => blake2s(bytes, { key, dkLen: 16 });

/** TAI64N: seconds since 1970 and 2^62 more, ten leap seconds before that, then nanoseconds; big-endian. */
function tai64n(atMs: number): Uint8Array {
  const bytes = Buffer.alloc(12);
  const seconds = Math.floor(atMs / 1000);
  bytes.writeBigUInt64BE(0x4000_0000_0000_000an + BigInt(seconds), 0);
  bytes.writeUInt32BE(Math.floor((atMs - seconds * 1000) * 1e6), 8);
  return bytes;
}

const text = (ascii: string) => Buffer.from(ascii, "latin1");

function nonce(counter: bigint): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(counter, 4);
  return bytes;
}

/** KDF1, KDF2 and KDF3 of the whitepaper are HKDF with the chaining key as salt. */
function derive(chain: Uint8Array, secret: Uint8Array, count: number): Uint8Array[] {
  const all = hkdf(blake2s, secret, chain, undefined, 32 * count);
  return Array.from({ length: count }, (_, n) => all.slice(32 * n, 32 * (n + 1)));
}
