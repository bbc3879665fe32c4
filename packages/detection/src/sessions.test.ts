import { describe, expect, test } from "vitest";
import { type PeerSession, type SessionImpact, Sessions, usersDisconnected } from "./sessions.ts";

const START = 1_700_000_000;
const ATTACK = "atk_0123456789";

/** A server's peers over time: `alive` tells for a moment whether a peer sends, and each sending peer makes a handshake every 120 s. */
function watched(
  peers: Record<string, (at: number) => boolean>,
  { from = START - 300, seconds = 600, every = 10 } = {},
) {
  const sessions = new Sessions();
  const state = new Map<string, PeerSession>();
  for (const key of Object.keys(peers)) state.set(key, { key, handshakeAt: from - 300, receivedBytes: 0 });
  for (let at = from - 300; at <= START + seconds; at++) {
    for (const [key, alive] of Object.entries(peers)) {
      const peer = state.get(key)!;
      if (!alive(at)) continue;
      const renewed = at - peer.handshakeAt >= 120;
      state.set(key, { key, handshakeAt: renewed ? at : peer.handshakeAt, receivedBytes: peer.receivedBytes + 1 });
    }
    const due = at < START ? 60 : every;
    if (at >= from && (at - START) % due === 0) sessions.see(at, [...state.values()]);
    if (at === START) sessions.begin(ATTACK, at);
  }
  return sessions.end(ATTACK, START + seconds);
}
const always = () => true;

test("who sends all the time loses nothing", () => {
  expect(watched({ a: always, b: always })).toEqual({ live: 2, inUse: 2, lost: 0, returned: 0 });
});

test("who was cut off for longer than a session lasts, and came back, was disconnected", () => {
  const cut = (at: number) => at < START + 5 || at > START + 400;
  expect(watched({ a: always, b: cut })).toEqual({ live: 2, inUse: 2, lost: 0, returned: 1 });
});

test("who was silent for less than a session lasts was not", () => {
  expect(watched({ a: (at) => at < START || at > START + 50 })).toMatchObject({ lost: 0, returned: 0 });
});

test("who has not come back may have left: lost", () => {
  expect(watched({ a: always, b: (at) => at < START + 5 })).toEqual({ live: 2, inUse: 2, lost: 1, returned: 0 });
});

test("who was silent before the attack began was not in use, and running out is no loss", () => {
  expect(watched({ a: always, idle: (at) => at < START - 100 })).toEqual({ live: 2, inUse: 1, lost: 0, returned: 0 });
});

test("an agent that has just started takes every live session for one in use", () => {
  const impact = watched({ a: always, idle: (at) => at < START - 30 }, { from: START - 10 });
  expect(impact).toMatchObject({ live: 2, inUse: 2, lost: 1 });
});

test("who joins during the attack is none of those who were there", () => {
  expect(watched({ a: always, b: (at) => at > START + 60 })).toMatchObject({ live: 1, inUse: 1, lost: 0, returned: 0 });
});

test("of an attack whose beginning was not seen there is nothing to say", () => {
  const sessions = new Sessions();
  sessions.see(START, [{ key: "a", handshakeAt: START, receivedBytes: 1 }]);
  expect(sessions.end(ATTACK, START + 10)).toBeUndefined();
});

describe("users disconnected", () => {
  const seen: SessionImpact = { live: 10, inUse: 8, lost: 0, returned: 0 };
  test.each<[string, number | null, number | null, SessionImpact | undefined, number | null]>([
    ["nobody counts tunnels", null, null, undefined, null],
    ["all tunnels stayed, nothing else is known", 10, 10, undefined, 0],
    ["fewer tunnels, and nobody knows whose", 10, 9, undefined, null],
    ["fewer tunnels, but none that was in use", 10, 7, seen, 0],
    ["two came back", 10, 7, { ...seen, returned: 2 }, 2],
    ["one came back in the place of another", 10, 10, { ...seen, returned: 1 }, 1],
    ["one has not come back", 10, 7, { ...seen, lost: 1, returned: 2 }, null],
    ["fewer tunnels, and not all of them are WireGuard's", 20, 19, seen, null],
    ["all tunnels stayed, and not all of them are WireGuard's", 20, 20, seen, 0],
  ])("%s", (_, before, lowest, sessions, users) => {
    expect(usersDisconnected(before, lowest, sessions)).toBe(users);
  });
});
