import { expect, test } from "vitest";
import { featuresOn, missingCapabilities, nftVersion } from "./tool-output.ts";

test("nft's version is read as every release prints it", () => {
  expect(nftVersion("nftables v1.0.6 (Lester Gooch #5)\n")).toEqual([1, 0]);
  expect(nftVersion("nftables v0.9.3 (Topsy)\n")).toEqual([0, 9]);
  expect(nftVersion("nft: command not found")).toBeUndefined();
});

test("of a card's features those that are on are found, fixed or not", () => {
  const said = [
    "Features for eth0:",
    "generic-receive-offload: on",
    "large-receive-offload: off [fixed]",
    "\trx-udp-gro-forwarding: on [requested on]",
  ].join("\n");
  expect(featuresOn(said)).toEqual(["generic-receive-offload", "rx-udp-gro-forwarding"]);
});

test("a missing capability is named, and no line at all means none", () => {
  expect(missingCapabilities("Name:\tx\nCapEff:\t000001ffffffffff\n")).toEqual([]);
  expect(missingCapabilities("CapEff:\t0000000000001000\n")).toEqual(["CAP_NET_RAW"]);
  expect(missingCapabilities("")).toEqual(["CAP_NET_ADMIN", "CAP_NET_RAW"]);
});
