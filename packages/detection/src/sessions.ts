/** A peer of a VPN server as the server itself reports it: a name that stays the same, epoch seconds (0: never), octets. */
export type PeerSession = { key: string; handshakeAt: number; receivedBytes: number };

/**
 * What became of the tunnels that were in use when an attack began.
 * - `live`: all sessions at that moment, of those servers that tell them one by one
 * - `inUse`: had a session, and the server had received something of theirs in the minute before (or was not yet watched for a minute)
 * - `lost`: of these, those without a session when the attack was over
 * - `returned`: of these, those whose session had died while it lasted and who had a new one when it was over
 */
export type SessionImpact = { live: number; inUse: number; lost: number; returned: number };

/** WireGuard rejects a session 180 s after its handshake (whitepaper 6.1); a peer in use makes a new one after 120 s. */
const SESSION_SECONDS = 180;
/** Whoever keeps a tunnel open sends every 25 s or so, which is seen at the latest by the next look but one. */
const IN_USE_SECONDS = 40;
/** Peers are looked at once a minute in peace: before that nobody knows who is silent. */
const WATCHED_SECONDS = 60;

/** `heardAt`: the last look at which more had come than before. */
type Known = { handshakeAt: number; receivedBytes: number; heardAt: number };
type Followed = { handshakeAt: number; returned: boolean };

/**
 * Follows sessions by the server's own word, to tell who lost a tunnel under attack from who had left it: a count of tunnels falls in
 * both cases. Needs a look at least every minute, and one at an attack's beginning and end.
 */
export class Sessions {
  #known = new Map<string, Known>();
  #since: number | undefined;
  readonly #followed = new Map<string, { at: number; live: number; peers: Map<string, Followed> }>();

  /** All peers as they are now. */
  see(at: number, peers: readonly PeerSession[]): void {
    this.#since ??= at;
    const known = new Map<string, Known>();
    for (const { key, handshakeAt, receivedBytes } of peers) {
      const before = this.#known.get(key);
      const heard = before !== undefined && receivedBytes > before.receivedBytes;
      known.set(key, {
        handshakeAt,
        receivedBytes,
        heardAt: heard ? at : (before?.heardAt ?? Number.NEGATIVE_INFINITY),
      });
    }
    this.#known = known;
    for (const attack of this.#followed.values()) {
      for (const [key, peer] of attack.peers) {
        const now = known.get(key);
        if (!now || now.handshakeAt <= peer.handshakeAt) continue;
        // It died so long after the last handshake that was seen, and only this one brought it back.
        const diedAt = peer.handshakeAt + SESSION_SECONDS;
        if (now.handshakeAt >= diedAt && diedAt > attack.at) peer.returned = true;
        peer.handshakeAt = now.handshakeAt;
      }
    }
  }

  /** An attack has begun, and `see` was just told of it. */
  begin(attack: string, at: number): void {
    const watchedBriefly = this.#since === undefined || at - this.#since < WATCHED_SECONDS;
    const peers = new Map<string, Followed>();
    let live = 0;
    for (const [key, { handshakeAt, heardAt }] of this.#known) {
      if (!isLive(handshakeAt, at)) continue;
      live += 1;
      if (watchedBriefly || at - heardAt <= IN_USE_SECONDS) peers.set(key, { handshakeAt, returned: false });
    }
    this.#followed.set(attack, { at, live, peers });
  }

  /** It is over, and `see` was just told how things are now. Undefined: its beginning was not seen. */
  end(attack: string, at: number): SessionImpact | undefined {
    const followed = this.#followed.get(attack);
    this.#followed.delete(attack);
    if (!followed) return undefined;
    const peers = [...followed.peers.values()];
    const lost = peers.filter(({ handshakeAt }) => !isLive(handshakeAt, at)).length;
    const returned = peers.filter((peer) => peer.returned && isLive(peer.handshakeAt, at)).length;
    return { live: followed.live, inUse: peers.length, lost, returned };
  }
}

const isLive = (handshakeAt: number, at: number): boolean => handshakeAt > 0 && at - handshakeAt < SESSION_SECONDS;

/**
 * Users known to have been disconnected, or null when nobody can tell; never a guess. `before` and `lowest` count the tunnels of all
 * servers, one value for each moment; `sessions` are known one by one.
 * - Sessions in use died and did not come back: their users may as well have left, so unknown.
 * - Sessions in use died and came back: that many users, who had not meant to leave for good.
 * - There were as many tunnels as before at every moment: nobody else.
 * - There were fewer, but all sessions are known, and none that was in use had died: tunnels of silent peers ran out, as they
 *   always do after three minutes. Nobody else.
 * - There were fewer, and whose they were is not known: unknown.
 */
export function usersDisconnected(
  before: number | null,
  lowest: number | null,
  sessions: SessionImpact | undefined,
): number | null {
  if (before === null || lowest === null || (sessions && sessions.lost > 0)) return null;
  const returned = sessions?.returned ?? 0;
  if (lowest >= before) return returned;
  return sessions && sessions.live >= before ? returned : null;
}
