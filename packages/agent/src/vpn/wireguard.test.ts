import { expect, test } from "vitest";
import { handshakesIn, parseEndpoint, parseUapi } from "./wireguard.ts";

test("endpoints are those that the kernel's sets can hold", () => {
  expect(parseEndpoint("192.0.2.1:51820")).toEqual({ address: "192.0.2.1", port: 51820 });
  expect(parseEndpoint("[2001:db8::1]:7")).toEqual({ address: "2001:db8::1", port: 7 });
  expect(parseEndpoint("[::ffff:192.0.2.1]:7")).toEqual({ address: "192.0.2.1", port: 7 });
  for (const text of ["(none)", "192.0.2.1:0", "192.0.2.1", "vpn.test:51820"]) {
    expect(parseEndpoint(text)).toBeUndefined();
  }
});

test("peers are read from wireguard-go's answer", () => {
  const answer =
    "listen_port=51820\npublic_key=aa\nendpoint=192.0.2.1:9\nlast_handshake_time_sec=5\nrx_bytes=7\npublic_key=bb\nerrno=0\n\n";
  expect(parseUapi("wg0", answer)).toEqual({
    name: "wg0",
    publicKey: undefined,
    listenPort: 51820,
    peers: [
      { publicKey: "aa", endpoint: { address: "192.0.2.1", port: 9 }, latestHandshake: 5, receivedBytes: 7 },
      { publicKey: "bb", endpoint: undefined, latestHandshake: 0, receivedBytes: 0 },
    ],
  });
});

test("the handshakes that are counted are those of the peers that are read", () => {
  const peer = (key: string, at: number) =>
    `public_key=${key}\nlast_handshake_time_sec=${at}\nlast_handshake_time_nsec=9\nrx_bytes=7\n`;
  const answer = `private_key=00\nlisten_port=51820\n${peer("aa", 1_700_000_000)}${peer("bb", 0)}${peer("cc", 5)}errno=0\n\n`;
  expect(handshakesIn(answer)).toEqual(parseUapi("wg0", answer).peers.map(({ latestHandshake }) => latestHandshake));
  expect(handshakesIn("errno=0\n\n")).toEqual([]);
});
