import { expect, test } from "vitest";
import { Unreadable } from "./source.ts";
import { parseMessage } from "./vici.ts";

const name = (text: string) => [text.length, ...Buffer.from(text)];
const value = (text: string) => [0, text.length, ...Buffer.from(text)];
/** The example of the protocol's description: a value, a section in a section, and a list. */
const EXAMPLE = Buffer.from([
  ...[3, ...name("key1"), ...value("value1")],
  ...[1, ...name("section1")],
  ...[1, ...name("sub-section"), 3, ...name("key2"), ...value("value2"), 2],
  ...[4, ...name("list1"), 5, ...value("item1"), 5, ...value("item2"), 6],
  2,
]);

test("a message is read as the protocol describes it", () => {
  const message = parseMessage(EXAMPLE);
  expect(message.values.get("key1")).toBe("value1");
  const section = message.sections.get("section1");
  expect(section?.sections.get("sub-section")?.values.get("key2")).toBe("value2");
  expect(section?.lists.get("list1")).toEqual(["item1", "item2"]);
});

test("a message that is cut anywhere but between its elements, or damaged, is refused", () => {
  const whole = new Set([14]);
  for (let length = 0; length < EXAMPLE.length; length++) {
    const cut = () => parseMessage(EXAMPLE.subarray(0, length));
    if (whole.has(length)) expect(cut().sections.size).toBe(0);
    else if (length > 0) expect(cut, `cut at ${length}`).toThrow(Unreadable);
  }
  for (const bytes of [[9], [2], [6], [5, 0, 0], [4, 1, 97, 3], [1, 1, 97], Array(40).fill([1, 1, 97]).flat()]) {
    expect(() => parseMessage(Buffer.from(bytes))).toThrow(Unreadable);
  }
});
