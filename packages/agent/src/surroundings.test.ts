import { expect, test } from "vitest";
import { parseSockets } from "./surroundings.ts";

test("established connections are read in the processor's byte order, IPv4 within IPv6 as what the wire carries", () => {
  const table = [
    "   0: 0100007F:0016 020200C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0",
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0",
    "   2: B80D0120000000000000000001000000:01BB B80D0120000000000000000007000000:9C40 01 00000000:00000000 00:0 0 0 0 1",
    "   3: 0000000000000000FFFF00000101000A:01BB 0000000000000000FFFF00000907A8C0:9C41 01 00000000:00000000 00:0 0 0 0 1",
  ];
  expect(parseSockets(table, "01")).toEqual([
    { address: "192.0.2.2", port: 50000, localPort: 22 },
    { address: "2001:db8:0:0:0:0:0:7", port: 40000, localPort: 443 },
    { address: "192.168.7.9", port: 40001, localPort: 443 },
  ]);
});

test("lines that are no socket are passed over", () => {
  expect(parseSockets(["", "x", "1: zz:zz 0100007F:1 01", "1: 0100007F:0016 01:1 01"], "01")).toEqual([]);
});
