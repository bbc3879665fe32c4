import net from "node:net";
import os from "node:os";
import type { Connection, HostFacts } from "@flowtriq/mitigation/facts";
import { greylistSize } from "@flowtriq/mitigation/sets";
import { lines } from "./system.ts";

/** Of a longer list only so many are looked at: a flood of requests makes the kernel's own lists long. */
const MAX_LINES = 50_000;
const ESTABLISHED = "01";
/** A UDP socket that is connected to nobody. */
const UNCONNECTED = "07";

/** What the rules must know of the host beside its VPN ports, as it is now. */
export function surroundings(): Pick<
  HostFacts,
  "connections" | "localAddresses" | "listeningUdp" | "conntrack" | "greylist"
> {
  return {
    connections: connections(),
    localAddresses: localAddresses(),
    listeningUdp: listeningUdp(),
    conntrack: tracksConnections(),
    greylist: greylistSize(os.totalmem() / 2 ** 20),
  };
}

/** Tells when what was read at the last load holds no longer. */
export class SurroundingsWatch {
  #listening: number[] = [];

  moved(held: Pick<HostFacts, "localAddresses" | "listeningUdp" | "conntrack">): boolean {
    const now = listeningUdp();
    // A port that is open at two looks is a service; one of a single look was somebody's question.
    const stays = now.filter((port) => this.#listening.includes(port));
    this.#listening = now;
    return (
      tracksConnections() !== held.conntrack ||
      stays.some((port) => !held.listeningUdp.includes(port)) ||
      localAddresses().some((address) => !held.localAddresses.includes(address))
    );
  }
}

const localAddresses = (): string[] => [
  ...new Set(
    Object.values(os.networkInterfaces()).flatMap((list) => list?.map(({ address }) => address.split("%")[0]!) ?? []),
  ),
];

/** The host's own TCP connections: they are older than our rules, or have been silent for longer than these remember. */
export const connections = (): Connection[] =>
  ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => parseSockets(socketLines(path), ESTABLISHED));

const listeningUdp = (): number[] => [
  ...new Set(
    ["/proc/net/udp", "/proc/net/udp6"].flatMap((path) =>
      parseSockets(socketLines(path), UNCONNECTED).map(({ localPort }) => localPort),
    ),
  ),
];

const socketLines = (path: string) => lines(path).slice(1, MAX_LINES);

/** Lines of /proc/net/{tcp,udp}{,6}: `sl: local remote state ...`, addresses as 32-bit words in the processor's order. */
export function parseSockets(table: string[], state: string): Connection[] {
  return table.flatMap((line) => {
    const [, local, remote, found] = line.trim().split(/\s+/);
    if (found !== state) return [];
    const [address, port] = remote?.split(":") ?? [];
    const localPort = Number.parseInt(local?.split(":")[1] ?? "", 16);
    const readable = addressOf(address ?? "");
    return readable && localPort > 0 ? [{ address: readable, port: Number.parseInt(port!, 16), localPort }] : [];
  });
}

/** 8 or 32 hexadecimal digits; an IPv4 address that an IPv6 socket holds is an IPv4 address on the wire. */
function addressOf(hex: string): string | undefined {
  if (!/^(?:[0-9A-Fa-f]{8}){1,4}$/.test(hex)) return undefined;
  const bytes = [...hex.matchAll(/.{8}/g)].flatMap(([word]) => [...Buffer.from(word, "hex")].reverse());
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return bytes.slice(12).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  const text = groups.join(":");
  return net.isIPv6(text) ? text : undefined;
}

/** Something on this host tracks connections already; ours alone must not make the kernel begin to. */
export function tracksConnections(): boolean {
  const [count] = lines("/proc/sys/net/netfilter/nf_conntrack_count");
  return Number(count) > 0;
}
