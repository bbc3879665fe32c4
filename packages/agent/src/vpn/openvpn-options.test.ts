import { expect, test } from "vitest";
import { openvpnOptions, servesClients } from "./openvpn-options.ts";

const files: Record<string, string> = {
  "server.conf": `
    # comment
    port 13680 ; the rest is a comment
    server 10.8.0.0 255.255.255.0
    <ca>
    management 6.6.6.6 666
    </ca>
    status "/run/my status" 1
    management /run/mgmt.sock unix '/etc/pw file'
    config more.conf
  `,
  "more.conf": "proto\tudp\ncd /etc\\ x\n",
  "loop.conf": "config loop.conf\nremote vpn.test 1194\n",
};
const read = (argv: string[]) => openvpnOptions(argv, (file) => files[file]);

test("options come from the command line and the files that it names, in their order, the last one holds", () => {
  const { options, complete } = read(["openvpn", "--port", "1", "--config", "server.conf", "--verb", "3"]);
  expect(complete).toBe(true);
  expect(Object.fromEntries(options)).toEqual({
    port: ["13680"],
    server: ["10.8.0.0", "255.255.255.0"],
    status: ["/run/my status", "1"],
    management: ["/run/mgmt.sock", "unix", "/etc/pw file"],
    proto: ["udp"],
    cd: ["/etc x"],
    verb: ["3"],
  });
  expect(read(["openvpn", "server.conf"]).options.get("port")).toEqual(["13680"]);
});

test("a file that cannot be read, and files that name each other, are told and end", () => {
  expect(read(["openvpn", "--config", "nowhere.conf"])).toEqual({ options: new Map(), complete: false });
  const looping = read(["openvpn", "loop.conf"]);
  expect(looping.complete).toBe(false);
  expect(looping.options.get("remote")).toEqual(["vpn.test", "1194"]);
});

test("a server is told from a client and from a point-to-point tunnel", () => {
  const serves = (...argv: string[]) => servesClients(read(["openvpn", ...argv]).options);
  expect(serves("--server", "10.8.0.0", "255.255.255.0")).toBe(true);
  expect(serves("--mode", "server", "--tls-server")).toBe(true);
  expect(serves("--client", "--remote", "vpn.test")).toBe(false);
  expect(serves("--secret", "static.key")).toBeUndefined();
});
