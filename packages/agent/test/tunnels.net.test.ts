import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bunPath } from "@flowtriq/lab/flood";
import { createTopology, start, type Topology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { startStrongswan } from "@flowtriq/lab/strongswan";
import { startWireguard } from "@flowtriq/lab/wireguard";
import type { SeedPeer } from "@flowtriq/mitigation/facts";
import type { VpnPort } from "@flowtriq/protocol/lane";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const isRoot = process.getuid?.() === 0;
const PATIENCE = { timeout: 20_000, interval: 200 };

// Namespaces and tunnels are root's.
describe.skipIf(!isRoot)("on a concentrator the agent", () => {
  let lab: Topology;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "tunnels-"));
    lab = await createTopology({ clients: 2 });
  });
  afterEach(async () => {
    await lab.destroy();
    rmSync(folder, { recursive: true });
  });

  /** The agent's knowledge of the concentrator, without the rest of the agent. */
  function asking({ vpn = {}, ports = [] as object[] } = {}) {
    const script = fileURLToPath(new URL("./ask.ts", import.meta.url));
    const child = start(lab.concentrator.namespace, [bunPath(), script, JSON.stringify({ vpn, ports })], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const answers = createInterface({ input: child.stdout! });
    const ask = async <T>(question: string): Promise<T> => {
      const answer = once(answers, "line");
      child.stdin!.write(`${question}\n`);
      return JSON.parse((await answer)[0] as string) as T;
    };
    return {
      count: () => ask<number | null>("count"),
      peers: () => ask<SeedPeer[]>("peers"),
      ports: () => ask<VpnPort[]>("ports"),
      troubles: () => ask<string[]>("troubles"),
    };
  }

  test("counts the tunnels of WireGuard, OpenVPN and strongSwan together, and follows who comes and goes", async () => {
    const host = asking();
    expect(await host.count()).toBeNull();
    await startWireguard(lab, { clients: [4, 6] });
    expect(await host.count()).toBe(2);
    const openvpn = await startOpenvpn(lab, { clients: [4, 6] });
    const strongswan = await startStrongswan(lab, { clients: [4, 6], tunnelsPerClient: 2 });
    const fresh = asking();
    await expect.poll(fresh.count, PATIENCE).toBe(2 + 2 + 4);
    await strongswan.clients[0]!.disconnect();
    // The status file is up to a second old.
    await expect.poll(fresh.count, PATIENCE).toBe(2 + 2 + 2);
    await openvpn.stop();
    await expect.poll(fresh.count, PATIENCE).toBe(2 + 2);
    await strongswan.stop();
    await expect.poll(fresh.count, PATIENCE).toBe(2);
    expect(await fresh.troubles()).toEqual([]);
    // The one that was there before them finds them too.
    await startStrongswan(lab, { clients: [4] });
    await expect.poll(host.count, { timeout: 60_000, interval: 500 }).toBe(3);
  });

  test("knows where connected peers are, so that nobody notices its start", async () => {
    await startOpenvpn(lab, { clients: [4, 6] });
    await startStrongswan(lab, { clients: [4, 6] });
    const host = asking();
    const [first, second] = lab.clients;
    const port = expect.any(Number);
    await expect.poll(host.peers, PATIENCE).toEqual(
      expect.arrayContaining([
        { address: first!.address[4], port },
        { address: first!.address[4], port: 4500, ipsec: true },
        { address: second!.address[6], port: 4500, ipsec: true },
      ]),
    );
  });

  test("finds the ports of daemons whatever their numbers, and neither clients' nor control sockets", async () => {
    await startOpenvpn(lab, { clients: [], port: 13_680 });
    await startWireguard(lab, { clients: [], port: 41_000 });
    await startStrongswan(lab, { clients: [] });
    for (const [name, transport, port, address] of [
      ["vpnserver", "tcp", 992, "::"],
      ["vpnserver", "tcp", 5556, "127.0.0.1"],
      ["xl2tpd", "udp", 1702, "0.0.0.0"],
      ["accel-pppd", "tcp", 8443, "0.0.0.0"],
      ["nginx", "tcp", 443, "0.0.0.0"],
    ] as const) {
      await listenAs(name, transport, port, address);
    }
    const found = await asking().ports();
    expect(found.map(({ transport, port, protocol }) => `${transport} ${port} ${protocol}`)).toEqual([
      "udp 500 ike",
      "tcp 992 softether",
      "udp 1702 l2tp",
      "udp 4500 ipsec_nat_t",
      "tcp 8443 sstp",
      "udp 13680 openvpn",
      "udp 41000 wireguard",
    ]);
  });

  test("says that it does not know when a VPN cannot be asked, once, and never guesses", async () => {
    await startWireguard(lab, { clients: [4, 6] });
    await listenAs("vpnserver", "tcp", 992, "0.0.0.0");
    const host = asking();
    await expect.poll(unknown(host), PATIENCE).toEqual([null, expect.stringContaining("SoftEther")]);
    expect(await unknown(host)()).toHaveLength(2);
  });

  test("does not believe a status file that is not written any more, nor wait for a socket that does not answer", async () => {
    const openvpn = await startOpenvpn(lab, { clients: [4, 6] });
    const status = asking({ vpn: { openvpn: [{ status: openvpn.statusFile }] } });
    await expect.poll(status.count, PATIENCE).toBe(2);
    const management = asking({ vpn: { openvpn: [{ management: openvpn.managementSocket }] } });
    expect(await management.count()).toBe(2);
    await openvpn.stop();
    writeFileSync(join(folder, "old"), "TITLE,OpenVPN\nHEADER,CLIENT_LIST\nEND\n");
    const old = asking({ vpn: { openvpn: [{ status: join(folder, "old") }] } });
    await expect.poll(old.count, { timeout: 60_000, interval: 500 }).toBeNull();
    expect(await status.count()).toBeNull();
    expect(await management.count()).toBeNull();
    await expect.poll(unknown(management), PATIENCE).toEqual([null, expect.stringContaining("management")]);
    const silent = await listenAs("silent", "unix", 0, join(folder, "silent"));
    const hanging = asking({ vpn: { strongswan: [silent], openvpn: [{ management: silent }] } });
    await expect.poll(unknown(hanging), PATIENCE).toHaveLength(3);
    expect((await unknown(hanging)())[0]).toBeNull();
  });

  test("does not know the tunnels of a served port whose daemon it cannot see", async () => {
    await listenAs("unknown", "udp", 1194, "0.0.0.0");
    const host = asking({ ports: [{ port: 1194, transport: "udp", protocol: "openvpn" }] });
    await expect.poll(unknown(host), PATIENCE).toEqual([null, expect.stringContaining("1194/udp")]);
  });

  /** The count, and what was said about its being unknown. */
  const unknown = (host: ReturnType<typeof asking>) => async () => [await host.count(), ...(await host.troubles())];

  /** A process of this name that listens: its name and its socket are real, only its service is not. */
  async function listenAs(name: string, transport: "tcp" | "udp" | "unix", port: number, address: string) {
    const program = join(folder, `${transport}${port}`, name);
    mkdirSync(join(folder, `${transport}${port}`), { recursive: true });
    symlinkSync(bunPath(), program);
    const where = JSON.stringify(transport === "unix" ? { path: address } : { port, host: address });
    const code =
      transport === "udp"
        ? `require("node:dgram").createSocket("udp4").bind(${port}, "${address}", () => console.log("up"))`
        : `require("node:net").createServer(() => {}).listen(${where}, () => console.log("up"))`;
    const child = start(lab.concentrator.namespace, [program, "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout!, "data");
    return address;
  }
});
