import { expect, test } from "vitest";
import { bytes } from "../test/craft.ts";
import { checkMac1, mac1Key } from "./mac1.ts";

const hex = (data: Uint8Array) => [...data].map((octet) => octet.toString(16).padStart(2, "0")).join("");
const unhex = (text: string) => Uint8Array.from(text.match(/../g)!, (pair) => Number.parseInt(pair, 16));
const publicKey = Uint8Array.from({ length: 32 }, (_, i) => i);
const key = mac1Key(publicKey);
const covered = bytes(
  unhex("0100000011223344"),
  Uint8Array.from({ length: 108 }, (_, i) => (7 * i + 3) & 255),
);
const initiation = bytes(covered, unhex("f86ef3d4c213eccbed4e678d4ae8c118"), new Uint8Array(16));

test("the key is the published vector's, from octets and from base64", () => {
  expect(hex(key.key)).toBe("4fb2527ac956001553dc1ad9b55171b7d9daa3de1cdbcd71451830170c7e6cac");
  expect(mac1Key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")).toEqual(key);
});

test("a genuine mac1 is told from a false one, at any octet", () => {
  expect(checkMac1(initiation, 148, key)).toBe(true);
  for (const at of [0, 4, 50, 115, 116, 131]) {
    const forged = initiation.slice();
    forged[at]! ^= 1;
    expect(checkMac1(forged, 148, key)).toBe(false);
  }
  expect(checkMac1(initiation, 148, mac1Key(new Uint8Array(32)))).toBe(false);
});

test("what has no mac1, or was cut before it ends, gets no verdict", () => {
  expect(checkMac1(initiation.subarray(0, 100), 148, key)).toBeUndefined();
  expect(checkMac1(initiation, 147, key)).toBeUndefined();
});

test.each(["", "AAEC", "!".repeat(44)])("%j is no public key", (text) => {
  expect(() => mac1Key(text)).toThrow(RangeError);
});
