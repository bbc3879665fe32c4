import type { Attack, Counts } from "@flowtriq/detection/detect";
import { ClosedLoop, type Rollback } from "@flowtriq/mitigation/closed-loop";
import { dependsOnConnections } from "@flowtriq/mitigation/mitigations";
import { LOOKED_AT_ONE_IN, metCounter, nameOf, oddCounter, variantCounter } from "@flowtriq/mitigation/names";
import { type LaneId, type VpnPort, vpnLane } from "@flowtriq/protocol/lane";
import { type Plans, removed } from "./events.ts";
import type { Firewall } from "./firewall.ts";
import { iso, type NewEvent, type Sink } from "./sink.ts";
import { connections } from "./surroundings.ts";
import type { Tunnels } from "./tunnels.ts";

const EVERY_MS = 1_000;
/** How often the peers of the VPN daemons and the host's TCP connections are named to the kernel while rules stand. */
const REMEMBER_MS = 30_000;
/** So many packets of the server's own that have no shape of its protocol: it answers clients who speak so. */
const DISGUISED_PACKETS = 20;

/** So many packets of known peers, and every one of them of its protocol. */
const PLAIN_PACKETS = 1_000;

/** Looks after the peers while rules stand: what reaches them, what is taken from them, how they speak, who was silent for long. */
export class PeerCare {
  readonly #firewall: Firewall;
  readonly #vpns: Tunnels;
  readonly #sink: Sink;
  readonly #loop = new ClosedLoop();
  #readAt = 0;
  #rememberedAt = Number.NEGATIVE_INFINITY;

  constructor(firewall: Firewall, vpns: Tunnels, sink: Sink) {
    this.#firewall = firewall;
    this.#vpns = vpns;
    this.#sink = sink;
  }

  /** Lanes whose rules the closed loop has taken back. */
  get rolledBack(): LaneId[] {
    return this.#loop.rolledBack;
  }

  /** Once a second: lanes whose rules are to be taken back, or set again, now. `calm`: no attack, and none is suspected. */
  rollbacks(
    now: number,
    counts: Counts,
    { ports, armed, calm }: { ports: VpnPort[]; armed: LaneId[]; calm: boolean },
  ): Rollback[] {
    if (Math.abs(now - this.#readAt) < EVERY_MS) return [];
    this.#readAt = now;
    const wanted = [...armed, ...this.rolledBack];
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
    for (const lane of wanted) {
      if (!taken.has(lane)) taken.set(lane, this.#firewall.packets(metCounter(lane)) * LOOKED_AT_ONE_IN);
    }
    return this.#loop.read({ at: now, data, taken }, wanted, calm);
  }

  /** What a rollback is told as, once the kernel holds what follows from it. */
  words(
    { lane, action, usualPps, pps, takenPps }: Rollback,
    { attack, plans }: { attack: Attack | undefined; plans: Plans },
  ): NewEvent[] {
    const figures = `known peers get ${Math.round(pps)} packets a second through, ${Math.round(usualPps)} are usual`;
    if (action === "rolled_back") {
      const message = `Rules on ${lane} rolled back: they took ${Math.round(takenPps)} packets a second from addresses of peers, and ${figures}.`;
      const hits = [{ id: `mit_${nameOf(lane)}`, ...this.#firewall.hits(lane) }];
      return [
        ...(attack ? [removed(attack, "rolled_back", plans.appliedAt, hits)] : []),
        { event: "agent.warning", code: "rule_rolled_back", message },
      ];
    }
    const message = `Rules on ${lane} set again: without them ${figures}.`;
    const applied = attack && plans.now.byAttack.get(attack.id);
    return [
      { event: "agent.warning", code: "rule_restored", message },
      ...(attack && applied
        ? [{ event: "mitigation.applied" as const, at: iso(plans.appliedAt), attack: attack.id, ...applied }]
        : []),
    ];
  }

  /**
   * How clients of the ports speak that nobody declared: where the server itself speaks otherwise than its protocol does (AmneziaWG, xor
   * patches), they are held to no shape; where everybody has spoken plainly for long, and only then, to the protocol's.
   */
  manners(
    ports: VpnPort[],
    configured: VpnPort[],
    counts: Counts,
    peace: boolean,
  ): { ports: VpnPort[]; news: NewEvent[] } {
    const wanted = ports.map((port) => {
      const declared = configured.find((one) => one.port === port.port && one.transport === port.transport);
      return declared?.strictness === "auto" ? { ...port, strictness: this.#mannersOn(port, counts, peace) } : port;
    });
    const news = wanted.flatMap(({ port, protocol, strictness }, index): NewEvent[] => {
      if (strictness !== "lenient" || ports[index]!.strictness === "lenient") return [];
      const message = `The server on ${port} does not speak plain ${protocol}: its clients are held to no shape.`;
      return [{ event: "agent.warning", code: "disguised_protocol", message }];
    });
    return { ports: wanted, news };
  }

  #mannersOn(port: VpnPort, counts: Counts, peace: boolean): VpnPort["strictness"] {
    const { strictness, transport, protocol } = port;
    if (strictness === "lenient" || transport !== "udp" || !(protocol === "wireguard" || protocol === "openvpn"))
      return strictness;
    const odd = this.#firewall.packets(oddCounter(port));
    if (odd >= DISGUISED_PACKETS) return "lenient";
    if (odd + this.#firewall.packets(variantCounter(port)) > 0) return "auto";
    const plain = (counts.get(vpnLane(port, "data"))?.packets ?? 0) >= PLAIN_PACKETS;
    return peace && plain ? "strict" : strictness;
  }

  /** Names peers to the kernel that were silent for longer than its sets remember. Never awaited. */
  remember(now: number, armed: LaneId[]): void {
    if (Math.abs(now - this.#rememberedAt) < REMEMBER_MS) return;
    this.#rememberedAt = now;
    void this.#vpns
      .livePeers(Date.now() / 1000)
      .then((seeds) =>
        this.#firewall.remember({ seeds, connections: armed.some(dependsOnConnections) ? connections() : [] }),
      )
      .catch((error: Error) => {
        const message = `Peers that were silent for long could not be named: ${error.message}`.slice(0, 500);
        this.#sink.emit({ event: "agent.warning", code: "peers_not_named", message });
      });
  }
}
