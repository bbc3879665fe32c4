import { DEFAULT_POLICY } from "@flowtriq/protocol/policy";
import { expect, test } from "vitest";
import { draftOf, read } from "./draft.ts";

const draft = (change: Partial<ReturnType<typeof draftOf>>) => ({ ...draftOf(DEFAULT_POLICY), ...change });

test("an untouched form means the policy it was made from", () => {
  expect(read(draftOf(DEFAULT_POLICY), DEFAULT_POLICY)).toEqual({ policy: DEFAULT_POLICY });
});

test("addresses and prefixes of both families are taken, one a line or with commas", () => {
  const result = read(draft({ neverBlock: " 192.0.2.7,2001:db8::/32\n\n10.0.0.0/8 " }), DEFAULT_POLICY);
  expect(result).toMatchObject({ policy: { neverBlock: ["192.0.2.7", "2001:db8::/32", "10.0.0.0/8"] } });
});

test.each([
  ["neverBlock", "300.1.1.1"],
  ["neverBlock", "10.0.0.0/33"],
  ["neverBlock", "drop; accept"],
  ["sensitivity", "1"],
  ["sensitivity", "a lot"],
  ["sensitivity", "NaN"],
  ["quietSeconds", "2.5"],
  ["quietSeconds", "1e9"],
] as const)("%s refuses %j and says which field it was", (field, value) => {
  const result = read(draft({ [field]: value }), DEFAULT_POLICY);
  expect(Object.keys("errors" in result ? result.errors : {})).toEqual([field]);
});
