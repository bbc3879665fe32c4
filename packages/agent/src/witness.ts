import type { Attack, Counts } from "@flowtriq/detection/detect";
import { Finishing } from "@flowtriq/detection/finishing";
import { type PeerSession, Sessions } from "@flowtriq/detection/sessions";
import type { Evidence } from "./events.ts";
import { wireguardInterfaces } from "./vpn/wireguard.ts";

/** The servers are asked for each peer this often: once a minute tells who is in use. */
const PEACE_MS = 60_000;
const WAR_MS = 10_000;

/** Sees what an attack does to the VPN servers and their users, by the servers' own word. */
export class Witness {
  readonly #sessions = new Sessions();
  readonly #finishing = new Finishing();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<boolean> | undefined;

  tick(now: number, counts: Counts, attacks: readonly Attack[]): void {
    this.#finishing.count(now, counts, attacks);
    if (now - this.#askedAt >= (attacks.length > 0 ? WAR_MS : PEACE_MS)) void this.#ask(now);
  }

  begin({ id, firstPacketAt }: Attack, now: number): void {
    this.#finishing.begin(id, firstPacketAt);
    void this.#ask(now).then((known) => {
      if (known) this.#sessions.begin(id, now / 1000);
    });
  }

  end({ id }: Attack, now: number): Evidence {
    const { before, during } = this.#finishing.end(id);
    const sessions = this.#sessions.end(id, now / 1000);
    return { handshakesBefore: before, handshakesDuring: during, sessions };
  }

  /** Never awaited by the loop. False: there is nobody to ask. */
  #ask(now: number): Promise<boolean> {
    this.#askedAt = now;
    this.#asking ??= wireguardInterfaces()
      .then((interfaces) => {
        const peers = interfaces.flatMap(({ name, peers }) =>
          peers.map(
            (peer): PeerSession => ({
              key: `${name} ${peer.publicKey}`,
              handshakeAt: peer.latestHandshake,
              receivedBytes: peer.receivedBytes,
            }),
          ),
        );
        this.#sessions.see(now / 1000, peers);
        return interfaces.length > 0;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }
}
