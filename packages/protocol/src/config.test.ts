import { expect, test } from "vitest";
import { AgentConfig } from "./config.ts";

test("where VPN daemons tell their tunnels may be left out or named", () => {
  expect(AgentConfig.parse({}).vpn).toEqual({});
  const vpn = {
    openvpn: [
      { status: "/run/openvpn/status", managementPasswordFile: "/etc/openvpn/pw" },
      { management: "/run/openvpn.sock" },
      { management: "[::1]:7505" },
    ],
    strongswan: ["/var/run/charon.vici"],
  };
  expect(AgentConfig.parse({ vpn }).vpn).toEqual(vpn);
});

test.each([
  ["a relative path", { openvpn: [{ status: "status.log" }] }],
  ["a management without a port", { openvpn: [{ management: "localhost" }] }],
  ["a Unix socket's path that no socket can have", { openvpn: [{ management: `/${"a".repeat(200)}` }] }],
  ["a server that cannot be asked", { openvpn: [{ managementPasswordFile: "/etc/openvpn/pw" }] }],
  ["an unknown field", { openvpn: [{ status: "/run/status", interval: 1 }] }],
  ["more servers than there can be", { openvpn: Array.from({ length: 17 }, () => ({ status: "/run/status" })) }],
  ["an unknown VPN", { wireguard: ["/run/wg"] }],
])("%s is refused", (_, vpn) => {
  expect(AgentConfig.safeParse({ vpn }).success).toBe(false);
});
