import { type LaneId, vpnLane } from "@flowtriq/protocol/lane";
import type { Flow, SimulatedNode } from "./node.ts";
import { clients as clientPool } from "./pools.ts";
import type { World } from "./world.ts";

type Protocol = "wireguard" | "openvpn";
type Client = { online: boolean; wanted: boolean; tryAt: number; wait: number; since: number; rekeyAt: number };

/** How the two behave: OpenVPN's own limit (mudp.c), and WireGuard's timers (whitepaper 6.1). Times in seconds. */
const HABITS = {
  openvpn: { firstWait: 1, mostWait: 16, givesUp: 60, pause: 5, packets: 6, per10s: 100, rekey: 0 },
  wireguard: {
    firstWait: 5,
    mostWait: 5,
    givesUp: 90,
    pause: 0,
    packets: 1,
    per10s: Number.POSITIVE_INFINITY,
    rekey: 120,
  },
};

/** A VPN server and its clients, second by second: who tries, who is let in, and what that looks like in the lanes. */
export class SimulatedServer {
  readonly #world: World;
  readonly #habits: (typeof HABITS)[Protocol];
  readonly #clients: Client[];
  readonly #handshake: Flow;
  readonly #data: Flow;
  readonly #lane: LaneId;
  readonly #started: number[] = [];
  up = true;
  /** Data packets a second of each client. */
  dataPps = 2;

  constructor(world: World, node: SimulatedNode, protocol: Protocol, number: number) {
    this.#world = world;
    this.#habits = HABITS[protocol];
    const port = world.ports.find((known) => known.protocol === protocol)!;
    const lane = vpnLane(port, "handshake");
    this.#clients = Array.from({ length: number }, () => ({
      online: false,
      wanted: false,
      tryAt: 0,
      wait: 0,
      since: 0,
      rekeyAt: 0,
    }));
    this.#handshake = { lane, pps: 0, packet: clientPool(world, number, protocol) };
    this.#data = { lane: vpnLane(port, "data"), pps: 0, bytes: 700 };
    this.#lane = lane;
    node.flows.push(this.#handshake, this.#data);
  }

  get online(): number {
    return this.#clients.reduce((sum, { online }) => sum + (online ? 1 : 0), 0);
  }

  /** True while a lane's bell might ring within a quarter of a second. */
  get busy(): boolean {
    return (this.#handshake.pps as number) > 80;
  }

  /** So many want a tunnel now; the difference comes or goes within this second. */
  want(number: number, now: number): void {
    let wanted = this.#clients.reduce((sum, client) => sum + (client.wanted ? 1 : 0), 0);
    for (const client of this.#clients) {
      if (wanted < number && !client.wanted) {
        this.#begin(client, now);
        wanted++;
      } else if (wanted > number && client.wanted && client.online) {
        Object.assign(client, { online: false, wanted: false });
        wanted--;
      }
    }
  }

  /** Every tunnel is lost; its client notices within so many seconds. */
  lose(now: number, within: number, share = 1): void {
    for (const client of this.#clients) {
      if (client.online && this.#world.chance(share)) this.#begin(client, now + this.#world.random() * within);
    }
  }

  #begin(client: Client, at: number): void {
    Object.assign(client, { online: false, wanted: true, tryAt: at, since: at, wait: this.#habits.firstWait });
  }

  /** One second of it. */
  second(node: SimulatedNode, now: number): void {
    let opened = 0;
    let finished = 0;
    for (const client of this.#clients) {
      if (client.online && this.#habits.rekey > 0 && this.up && now >= client.rekeyAt) {
        opened++;
        finished++;
        client.rekeyAt = now + this.#habits.rekey;
      }
      if (!client.wanted || client.online || now < client.tryAt) continue;
      opened++;
      if (this.#admits(now)) {
        finished++;
        client.online = true;
        client.rekeyAt = now + this.#habits.rekey * (0.5 + this.#world.random() / 2);
      } else this.#retry(client, now);
    }
    const { packets } = this.#habits;
    this.#handshake.pps = opened;
    this.#data.pps = this.online * this.dataPps * (0.9 + 0.2 * this.#world.random());
    const sent = this.up ? finished * packets + this.online * this.dataPps : 0;
    node.answers.set(this.#lane, { finished: finished * packets, sent });
  }

  #retry(client: Client, now: number): void {
    const { firstWait, mostWait, givesUp, pause } = this.#habits;
    const over = now - client.since >= givesUp;
    client.tryAt = now + (over ? pause + firstWait : client.wait) + this.#world.random() * 0.3;
    client.wait = over ? firstWait : Math.min(mostWait, client.wait * 2);
    if (over) client.since = client.tryAt;
  }

  #admits(now: number): boolean {
    if (!this.up) return false;
    while (this.#started[0] !== undefined && now - this.#started[0] >= 10) this.#started.shift();
    if (this.#started.length >= this.#habits.per10s) return false;
    if (Number.isFinite(this.#habits.per10s)) this.#started.push(now);
    return true;
  }
}
