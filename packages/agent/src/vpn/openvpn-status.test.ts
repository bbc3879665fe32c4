import { describe, expect, test } from "vitest";
import { OpenvpnStatus } from "./openvpn-status.ts";

/** What OpenVPN 2.6.14 writes for two clients, one over IPv4 and one over IPv6, and for one that has not logged in. */
const REPORTS = {
  1: `OpenVPN CLIENT LIST
Updated,2026-11-25 08:42:50
Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since
client1,10.99.0.11:43985,2243,2266,2026-11-25 08:42:50
client2,fd99::c,2244,2265,2026-11-25 08:42:50
UNDEF,10.99.0.99:4242,0,0,2026-11-25 08:42:50
ROUTING TABLE
Virtual Address,Common Name,Real Address,Last Ref
10.201.0.3,client1,10.99.0.11:43985,2026-11-25 08:42:50
fd99:201::1000,client2,fd99::c,2026-11-25 08:42:50
GLOBAL STATS
Max bcast/mcast queue length,0
END
`,
  2: `TITLE,OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]
TIME,2026-11-25 08:30:57,1795595457
HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher
CLIENT_LIST,client2,fd99::c,10.201.0.3,fd99:201::1001,2245,2268,2026-11-25 08:30:56,1795595456,UNDEF,1,1,AES-256-GCM
CLIENT_LIST,client1,10.99.0.11:43985,10.201.0.2,fd99:201::1000,2246,2268,2026-11-25 08:30:56,1795595456,UNDEF,0,0,AES-256-GCM
CLIENT_LIST,UNDEF,10.99.0.99:4242,,,0,0,2026-11-25 08:30:56,1795595456,UNDEF,2,2,
HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)
ROUTING_TABLE,10.201.0.2,client1,10.99.0.11:43985,2026-11-25 08:30:56,1795595456
GLOBAL_STATS,Max bcast/mcast queue length,0
END
`,
};
const all = { ...REPORTS, 3: REPORTS[2].replaceAll(",", "\t") };
const read = (text: string) => OpenvpnStatus.read(Buffer.from(text));

describe.each(Object.entries(all))("a status report of version %s", (_, report) => {
  test("counts clients that have logged in, not those that only began", () => {
    expect(read(report)?.count()).toBe(2);
  });

  test("tells where they are, as far as it has a port", () => {
    expect(read(report)?.peers()).toEqual([{ address: "10.99.0.11", port: 43985 }]);
  });

  test("is the same over the management interface, whose lines end otherwise", () => {
    expect(read(report.replaceAll("\n", "\r\n"))?.count()).toBe(2);
    expect(read(report.replaceAll("\n", "\r\n"))?.peers()).toHaveLength(1);
  });

  test("is no report while it is only half written", () => {
    for (let length = 0; length < report.length - 1; length++) expect(read(report.slice(0, length))).toBeUndefined();
  });
});

test("a client without a name has logged in once it has an address inside", () => {
  const nameless = all[2].replace("UNDEF,10.99.0.99:4242,,", "UNDEF,10.99.0.99:4242,10.201.0.9,");
  expect(read(nameless)?.count()).toBe(3);
  const nameless1 = all[1].replace("GLOBAL", "10.201.0.9,UNDEF,10.99.0.99:4242,2026-11-25 08:42:50\nGLOBAL");
  expect(read(nameless1)?.count()).toBe(3);
});

test("addresses of version 2.7 have a transport and brackets", () => {
  const newer = all[2].replace("fd99::c", "udp6:[fd99::c]:1024").replace("10.99.0.11:43985,10", "udp4:10.99.0.11:9,10");
  expect(read(newer)?.peers()).toEqual([
    { address: "fd99::c", port: 1024 },
    { address: "10.99.0.11", port: 9 },
  ]);
});

test("the statistics of a point-to-point tunnel, and anything else, are no report", () => {
  expect(read("OpenVPN STATISTICS\nUpdated,2026-11-25 08:42:50\nTUN/TAP read bytes,0\nEND\n")).toBeUndefined();
  expect(read("\0\xff\nEND\n")).toBeUndefined();
});

test("what a hostile name smuggles into an address is no peer", () => {
  for (const address of [
    "10.0.0.1 }; flush ruleset; {:1",
    "999.1.1.1:5",
    "10.0.0.1:0",
    "10.0.0.1:99999",
    "[fe80::1%eth0]:5",
  ]) {
    expect(read(all[2].replace("10.99.0.11:43985,10", `${address},10`))?.peers()).toEqual([]);
  }
});
