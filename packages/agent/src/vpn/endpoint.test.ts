import { expect, test } from "vitest";
import { parseEndpoint } from "./wireguard.ts";

test.each([
  ["192.0.2.1:51820", { address: "192.0.2.1", port: 51820 }],
  ["[2001:db8::1]:51820", { address: "2001:db8::1", port: 51820 }],
  // Packets carry no zone, and nft takes none in a set.
  ["[fe80::1%eth0]:40000", { address: "fe80::1", port: 40000 }],
  ["(none)", undefined],
  ["", undefined],
  ["192.0.2.1", undefined],
  ["192.0.2.1:0", undefined],
  ["192.0.2.1:65536", undefined],
  ["192.0.2.1:0x50", undefined],
  ["2001:db8::1:51820", undefined],
  ["[2001:db8::1]", undefined],
  ["[fe80::1%eth0}]:1 }", undefined],
])("%s is read as an endpoint, or not at all", (text, endpoint) => {
  expect(parseEndpoint(text)).toEqual(endpoint);
});
