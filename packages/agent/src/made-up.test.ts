import { LearnedState, laneOf } from "@flowtriq/detection/lanes";
import { LINK, readPacket } from "@flowtriq/detection/packet";
import { expect, test } from "vitest";
import { attack, GENUINE_EVERY, JUNK_PACKETS, responsePacket } from "./made-up.ts";

test("all made-up junk is malformed, and all that is genuine is data, from its old address and from a new one", () => {
  const ports = [{ port: 51820, transport: "udp", protocol: "wireguard", strictness: "auto" } as const];
  const learned = new LearnedState(ports);
  learned.learn(readPacket(responsePacket(), LINK.raw)!, 0);
  const lanes = new Map<string, number>();
  const genuineFrom = new Set<number>();
  for (const { kind, packet } of attack((bytes) => crypto.getRandomValues(bytes))) {
    const read = readPacket(packet, LINK.raw)!;
    const lane = `${kind} ${laneOf(read, { ports, learned })}`;
    lanes.set(lane, (lanes.get(lane) ?? 0) + 1);
    if (kind === "genuine") genuineFrom.add(read.sourcePort);
  }
  expect(Object.fromEntries(lanes)).toEqual({
    "junk udp:51820:malformed": JUNK_PACKETS,
    "genuine udp:51820:data": JUNK_PACKETS / GENUINE_EVERY,
  });
  expect(genuineFrom.size).toBe(2);
});
