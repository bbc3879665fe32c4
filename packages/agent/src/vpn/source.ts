import { parseAddress } from "@flowtriq/detection/packet";
import type { SeedPeer } from "@flowtriq/mitigation/facts";

/** One VPN daemon, or all WireGuard interfaces, that can be asked about its tunnels. */
export interface TunnelSource {
  /** The same as long as the same daemon is asked in the same way. */
  readonly key: string;
  /** Live tunnels; undefined when there is nothing to count. Throws Unreadable when it cannot be told. */
  count(nowSeconds: number): Promise<number | undefined>;
  /** Where peers with a live session are: genuine before the agent has seen a packet of theirs. Throws Unreadable. */
  peers(nowSeconds: number): Promise<SeedPeer[]>;
  close(): void;
}

/** A source is there and does not tell. The message says what an operator can do. */
export class Unreadable extends Error {
  override name = "Unreadable";
  /** Its daemon has ended: look for its successor. */
  readonly gone: boolean;

  constructor(message: string, { gone = false, cause }: { gone?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.gone = gone;
  }
}

/** A peer as the kernel's sets can hold it. Undefined for what is no address (a zone, a name) or no port. */
export function seedPeer(address: string, port: number, ipsec = false): SeedPeer | undefined {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!Number.isInteger(port) || port < 1 || port > 65535 || parseAddress(plain) === undefined) return undefined;
  return ipsec ? { address: plain, port, ipsec } : { address: plain, port };
}

/** Gives up on an answer that does not come: a daemon that hangs must not hold up anything. */
export function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Unreadable(`${what} does not answer`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
