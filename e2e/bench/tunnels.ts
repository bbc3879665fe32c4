import { setTimeout as delay } from "node:timers/promises";
import type { Family, Host, Topology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { type ProbeResult, probe } from "@flowtriq/lab/probe";
import { startStrongswan } from "@flowtriq/lab/strongswan";
import { startWireguard, type Wireguard } from "@flowtriq/lab/wireguard";

export const PROTOCOLS = ["WireGuard", "OpenVPN", "IPsec"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** A server of each protocol on the lab's concentrator, and on each of the lab's clients a tunnel of each, half of them over IPv6. */
export interface Vpns {
  wireguard: Wireguard;
  /** Starts the OpenVPN server and its clients anew, with or without tls-crypt, if that is not what they have. */
  useTlsCrypt(wanted: boolean): Promise<void>;
  /** Everybody pings through his tunnels. */
  ping(intervalMs: number): Pings;
}

export interface Pings {
  /** Resolves when all have been answered, or with those that were not within so long. */
  answered(withinMs: number): Promise<string[]>;
  stop(): Promise<Record<Protocol, ProbeResult[]>>;
}

/** A tunnel costs a process of some two megabytes. */
export async function startVpns(lab: Topology): Promise<Vpns> {
  const clients = lab.clients.map((_, index) => (index % 2 === 0 ? 4 : 6) as Family);
  const wireguard = await startWireguard(lab, { clients });
  const strongswan = await startStrongswan(lab, { clients });
  let tlsCrypt = true;
  let openvpn = await startOpenvpn(lab, { clients, tlsCrypt });
  const targets = {
    WireGuard: wireguard.address[4],
    OpenVPN: openvpn.address[4],
    IPsec: strongswan.address[4],
  } satisfies Record<Protocol, string>;
  return {
    wireguard,
    async useTlsCrypt(wanted) {
      if (wanted === tlsCrypt) return;
      tlsCrypt = wanted;
      await openvpn.stop();
      openvpn = await startOpenvpn(lab, { clients, tlsCrypt });
    },
    ping: (intervalMs) => pingAll(lab.clients, targets, intervalMs),
  };
}

function pingAll(hosts: Host[], targets: Record<Protocol, string>, intervalMs: number): Pings {
  const probes = PROTOCOLS.flatMap((protocol) =>
    hosts.map(({ namespace }) => ({
      ...{ protocol, namespace },
      running: probe({ namespace, target: targets[protocol], intervalMs }),
    })),
  );
  return {
    async answered(withinMs) {
      const silent = new Set(probes);
      const all = Promise.all(probes.map((one) => one.running.answered.then(() => silent.delete(one))));
      await Promise.race([all.catch(() => {}), delay(withinMs)]);
      return [...silent].map(({ protocol, namespace }) => `${protocol} of ${namespace}`);
    },
    async stop() {
      const results = await Promise.all(probes.map(({ running }) => running.stop()));
      const of = (wanted: Protocol) => results.filter((_, index) => probes[index]!.protocol === wanted);
      return { WireGuard: of("WireGuard"), OpenVPN: of("OpenVPN"), IPsec: of("IPsec") };
    },
  };
}
