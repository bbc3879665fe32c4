import { expect, test } from "vitest";
import { EVENT_KINDS } from "./event.ts";
import { MAX_REPORT_EVENTS, withoutNewerEvents } from "./wire.ts";

const known = { id: "evt_0123456789", event: "agent.stopped" };
const newer = { id: "evt_abcdef0123", event: "tunnel.moved", more: 1 };

test("the kinds of events are known by name", () => {
  for (const kind of ["agent.ready", "attack.ended", "capture.written"]) expect(EVENT_KINDS.has(kind)).toBe(true);
});

test("an event of an unknown kind is taken out, everything else stays as it came", () => {
  const body = { sentAt: "x", events: [known, newer, { nonsense: true }] };
  expect(withoutNewerEvents(body)).toEqual({
    body: { sentAt: "x", events: [known, { nonsense: true }] },
    newer: [newer.id],
  });
});

test.each([
  ["no event at all", undefined],
  ["null", null],
  ["events that are no list", { events: "tunnel.moved" }],
  ["only known events", { events: [known] }],
  ["an unknown kind without an id", { events: [{ event: "tunnel.moved" }] }],
  ["a kind that is none", { events: [{ ...newer, event: "DROP TABLE" }] }],
  ["more events than a report may have", { events: Array.from({ length: MAX_REPORT_EVENTS + 1 }, () => newer) }],
])("%s is left to the schema", (_, body) => {
  expect(withoutNewerEvents(body)).toEqual({ body, newer: [] });
});
