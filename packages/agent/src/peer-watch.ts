import type { Counts } from "@flowtriq/detection/detect";
import { ClosedLoop, type Rollback } from "@flowtriq/mitigation/closed-loop";
import { LOOKED_AT_ONE_IN, metCounter, oddCounter } from "@flowtriq/mitigation/names";
import { type LaneId, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";

const EVERY_MS = 1_000;
/** So many packets of the server's own that have no shape of its protocol: it answers clients who speak so. */
const DISGUISED_PACKETS = 20;

/** The counters that the watch needs beside the lanes': the firewall's last reading of them. */
export type Counters = { packets(counter: string): number };

/** Looks after the peers while rules stand: what reaches them, what is taken from them, and how they speak. */
export class PeerWatch {
  readonly #loop = new ClosedLoop();
  #readAt = 0;

  get rolledBack(): LaneId[] {
    return this.#loop.rolledBack;
  }

  /** Once a second; `wanted` are the lanes that attacks call for, rolled back or not. */
  read(now: number, counts: Counts, counters: Counters, ports: VpnPort[], wanted: LaneId[]): Rollback[] {
    if (now - this.#readAt < EVERY_MS) return [];
    this.#readAt = now;
    const data = new Map<string, number>();
    const taken = new Map<LaneId, number>();
    for (const port of ports) {
      const lane = vpnLane(port, "data");
      const count = counts.get(lane);
      if (!count) continue;
      data.set(`${port.transport}:${port.port}`, count.packets - count.dropped);
      // On a data lane whatever the rules take is taken from a peer.
      taken.set(lane, count.dropped);
    }
    for (const lane of wanted)
      if (!taken.has(lane)) taken.set(lane, counters.packets(metCounter(lane)) * LOOKED_AT_ONE_IN);
    return this.#loop.read({ at: now, data, taken }, wanted);
  }
}

/** Ports whose server speaks otherwise than its protocol does, though nobody declared it (AmneziaWG, xor patches). */
export const disguisedPorts = (ports: VpnPort[], counters: Counters): VpnPort[] =>
  ports.filter(
    (port) =>
      port.strictness === "auto" &&
      port.transport === "udp" &&
      (port.protocol === "wireguard" || port.protocol === "openvpn") &&
      counters.packets(oddCounter(port)) >= DISGUISED_PACKETS,
  );
