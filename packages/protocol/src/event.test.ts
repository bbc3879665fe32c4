import { expect, test } from "vitest";
import { AgentConfig } from "./config.ts";
import { AgentEvent } from "./event.ts";
import { LaneId } from "./lane.ts";

test("the minimal configuration of the documentation is complete", () => {
  const config = AgentConfig.parse({
    interfaces: ["eth0"],
    ports: [{ port: 51820, transport: "udp", protocol: "wireguard" }],
    mode: "enforce",
  });
  expect(config.stateDir).toBe("/var/lib/ftagent");
  expect(config.ports?.[0]?.strictness).toBe("auto");
});

test.each(["udp:51820:malformed", "tcp:443:data", "host:reflected"])("%s is a lane", (lane) => {
  expect(LaneId.safeParse(lane).success).toBe(true);
});

test.each(["udp:51820:x", "host:x", "51820", "", "host:", "udp:999999:data; drop"])("%j is no lane", (lane) => {
  expect(LaneId.safeParse(lane).success).toBe(false);
});

test("an event with an unknown field is refused", () => {
  const event = {
    id: "evt_0123456789",
    at: "2026-01-02T03:04:05.678Z",
    event: "agent.warning",
    code: "x",
    message: "y",
  };
  expect(AgentEvent.safeParse(event).success).toBe(true);
  expect(AgentEvent.safeParse({ ...event, more: 1 }).success).toBe(false);
});
