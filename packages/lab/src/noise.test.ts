import { randomBytes } from "node:crypto";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { describe, expect, test } from "vitest";
import {
  type Acquaintance,
  acquaint,
  dh,
  finish,
  initiate,
  type KeyPair,
  keyPair,
  keyPairOf,
  mac,
  mac1Key,
  readCookieReply,
  readData,
  type Session,
  showCookie,
  Transcript,
  toData,
} from "./noise.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** The other side, for tests: reads an initiation, or throws, and answers it. */
function respond(server: KeyPair, initiation: Uint8Array, presharedKey: Uint8Array = new Uint8Array(32)) {
  const message = Buffer.from(initiation);
  const state = new Transcript(server.publicKey);
  const theirs = message.subarray(8, 40);
  state.mix(theirs);
  state.said(theirs);
  const [first] = state.mix(dh(server, theirs), 1);
  const client = state.open(first!, message.subarray(40, 88));
  const [second] = state.mix(dh(server, client), 1);
  const timestamp = state.open(second!, message.subarray(88, 116));
  const ephemeral = keyPair();
  state.mix(ephemeral.publicKey);
  state.said(ephemeral.publicKey);
  state.mix(dh(ephemeral, theirs));
  state.mix(dh(ephemeral, client));
  const [temporary, key] = state.mix(presharedKey, 2);
  state.said(temporary!);
  const response = Buffer.alloc(92);
  response[0] = 2;
  response.writeUInt32LE(77, 4);
  message.copy(response, 8, 4, 8);
  response.set(ephemeral.publicKey, 12);
  response.set(state.seal(key!, new Uint8Array(0)), 44);
  const [receivingKey, sendingKey] = state.split();
  const session: Session = { index: 77, receiverIndex: message.readUInt32LE(4), sendingKey, receivingKey, counter: 0n };
  return { client, timestamp, response, session };
}

function cookieReply(server: KeyPair, initiation: Uint8Array, cookie: Uint8Array): Uint8Array {
  const message = Buffer.from(initiation);
  const nonce = randomBytes(24);
  const key = blake2s(Buffer.concat([Buffer.from("cookie--"), server.publicKey]));
  const sealed = xchacha20poly1305(key, nonce, message.subarray(116, 132)).encrypt(cookie);
  return Buffer.concat([Uint8Array.of(3, 0, 0, 0), message.subarray(4, 8), nonce, sealed]);
}

describe("an initiator", () => {
  const server = keyPair();
  const own = keyPair();
  const known: Acquaintance = acquaint(own, server.publicKey);

  test("is understood by its server, and both end with the same keys", () => {
    const initiation = initiate(known, NOW);
    const answer = respond(server, initiation.message);
    expect(Buffer.from(answer.client)).toEqual(Buffer.from(own.publicKey));
    const session = finish(initiation, answer.response)!;
    const there = toData(session, Buffer.from("there"));
    const back = toData(answer.session, Buffer.from("and back"));
    expect(Buffer.from(readData(answer.session, there)!).toString()).toBe(`there${"\0".repeat(11)}`);
    expect(Buffer.from(readData(session, back)!).toString()).toBe(`and back${"\0".repeat(8)}`);
    expect(toData(session)).toHaveLength(32);
    expect(session.counter).toBe(2n);
  });

  test("says when: TAI64N, ten seconds and 2^62 beyond Unix time", () => {
    const { timestamp } = respond(server, initiate(known, NOW).message);
    expect(Buffer.from(timestamp).readBigUInt64BE()).toBe(2n ** 62n + 10n + BigInt(Math.floor(NOW / 1000)));
    expect(Buffer.from(timestamp).readUInt32BE(8)).toBe(678_000_000);
  });

  test("mixes a preshared key in, and only that one fits", () => {
    const presharedKey = randomBytes(32);
    const initiation = initiate(acquaint(own, server.publicKey, presharedKey), NOW);
    const other = respond(server, initiation.message);
    expect(finish(initiation, other.response)).toBeUndefined();
    const right = respond(server, initiation.message, presharedKey);
    expect(finish(initiation, right.response)).toBeDefined();
  });

  test("takes no answer that was changed, cut, or meant for another try, and still takes the genuine one", () => {
    const initiation = initiate(known, NOW);
    const { response } = respond(server, initiation.message);
    for (const at of [0, 8, 20, 50]) {
      const changed = Buffer.from(response);
      changed[at]! ^= 1;
      expect(finish(initiation, changed)).toBeUndefined();
    }
    expect(finish(initiation, response.subarray(0, 91))).toBeUndefined();
    expect(finish(initiate(known, NOW + 1), response)).toBeUndefined();
    // A public key of low order, which an attacker may send.
    const low = Buffer.from(response);
    low.fill(0, 12, 44);
    expect(finish(initiation, low)).toBeUndefined();
    expect(finish(initiation, response)).toBeDefined();
  });

  test("opens a cookie reply to its own message, and proves with mac2 that it did", () => {
    const initiation = initiate(known, NOW);
    expect(Buffer.from(initiation.message.subarray(132))).toEqual(Buffer.alloc(16));
    const cookie = randomBytes(16);
    const reply = cookieReply(server, initiation.message, cookie);
    expect(Buffer.from(readCookieReply(initiation, reply)!)).toEqual(cookie);
    expect(readCookieReply(initiate(known, NOW + 1), reply)).toBeUndefined();
    expect(readCookieReply(initiation, reply.subarray(0, 63))).toBeUndefined();
    const next = initiate(known, NOW + 5_000);
    showCookie(next, cookie);
    const { message } = next;
    expect(Buffer.from(message.subarray(132))).toEqual(Buffer.from(mac(cookie, message.subarray(0, 132))));
  });

  test("never makes the same message twice", () => {
    const [one, other] = [initiate(known, NOW).message, initiate(known, NOW).message];
    expect(Buffer.from(one.subarray(8, 40))).not.toEqual(Buffer.from(other.subarray(8, 40)));
  });

  test("does not read data of another session", () => {
    const [one, other] = [1, 2].map((later) => {
      const initiation = initiate(known, NOW + later);
      const { response, session } = respond(server, initiation.message);
      return { client: finish(initiation, response)!, server: session };
    });
    expect(readData(one!.client, toData(other!.server))).toBeUndefined();
    const changed = Buffer.from(toData(one!.server, Buffer.alloc(20)));
    changed[20]! ^= 1;
    expect(readData(one!.client, changed)).toBeUndefined();
  });
});

test("mac1 is what an independent implementation makes of the same bytes", () => {
  const publicKey = Uint8Array.from({ length: 32 }, (_, index) => index);
  const key = mac1Key(publicKey);
  expect(Buffer.from(key).toString("hex")).toBe("4fb2527ac956001553dc1ad9b55171b7d9daa3de1cdbcd71451830170c7e6cac");
  const rest = Array.from({ length: 108 }, (_, i) => (7 * i + 3) & 255);
  const message = Uint8Array.of(1, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, ...rest);
  expect(Buffer.from(mac(key, message)).toString("hex")).toBe("f86ef3d4c213eccbed4e678d4ae8c118");
});

test("a key pair is the same again from its private key", () => {
  const own = keyPair();
  const { d } = own.privateKey.export({ format: "jwk" });
  expect(Buffer.from(keyPairOf(Buffer.from(d!, "base64url")).publicKey)).toEqual(Buffer.from(own.publicKey));
});
