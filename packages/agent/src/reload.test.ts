import { AgentConfig } from "@flowtriq/protocol/config";
import { expect, test } from "vitest";
import { changedKeys } from "./reload.ts";

test("mode and policy change in a running agent, the rest at its next start", () => {
  const before = AgentConfig.parse({ interfaces: ["eth0"] });
  const now = { interfaces: ["eth0"], mode: "enforce", policy: { quietSeconds: 9 } };
  expect(changedKeys(before, AgentConfig.parse(now))).toEqual([]);
  const more = { ...now, interfaces: ["eth1"], metrics: { port: 9100 } };
  expect(changedKeys(before, AgentConfig.parse(more))).toEqual(["interfaces", "metrics"]);
});
