import type { SeedPeer } from "@flowtriq/mitigation/facts";
import { seedPeer, type TunnelSource, within } from "./source.ts";
import { Vici, type ViciMessage } from "./vici.ts";

/** States of an IKE association that carries traffic; one that is being set up may be a stranger's. */
const LIVE = new Set(["ESTABLISHED", "REKEYING"]);
const ANSWER_MS = 1_000;
/** The first list has a message for each association. */
const LIST_MS = 5_000;
/** So often in a row the daemon's own sum must differ before its associations are listed anew, and so long after the last time. */
const DIFFERENCES = 3;
const LIST_AGAIN_SECONDS = 10;

/**
 * strongSwan's IKE associations. They are listed once; from then on the daemon tells of each that comes and goes, so that
 * asking costs one small message however many there are.
 */
export function strongswan(path: string): TunnelSource {
  let live = new Live(path);

  async function connected(nowSeconds: number): Promise<Live> {
    if (live.ended) live = new Live(path);
    await within(LIST_MS, live.ready(nowSeconds), path).catch(giveUp);
    return live;
  }
  function giveUp(error: unknown): never {
    live.close();
    throw error;
  }

  return {
    key: `strongswan ${path}`,
    async count(nowSeconds) {
      const current = await connected(nowSeconds);
      return within(ANSWER_MS, current.count(nowSeconds), path).catch(giveUp);
    },
    async peers(nowSeconds) {
      const current = await connected(nowSeconds);
      return within(LIST_MS, current.peers(), path).catch(giveUp);
    },
    close: () => live.close(),
  };
}

/** One connection and what it has told. */
class Live {
  readonly #path: string;
  #vici: Vici | undefined;
  #ready: Promise<void> | undefined;
  /** By the daemon's own number. */
  #associations = new Set<string>();
  #listed: SeedPeer[] | undefined;
  #listedAt = 0;
  #known = 0;
  #differences = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get ended(): boolean {
    return this.#vici?.closed === true;
  }

  ready(nowSeconds: number): Promise<void> {
    this.#ready ??= this.#connect(nowSeconds);
    return this.#ready;
  }

  async #connect(nowSeconds: number): Promise<void> {
    const vici = new Vici(this.#path, (name, message) => this.#onEvent(name, message));
    this.#vici = vici;
    const register = async () => {
      for (const event of ["list-sa", "ike-updown", "ike-rekey"]) await vici.register(event);
    };
    await within(ANSWER_MS, register(), this.#path);
    await this.#list(nowSeconds);
  }

  async #list(nowSeconds: number): Promise<void> {
    this.#listedAt = nowSeconds;
    this.#associations.clear();
    await this.#vici!.request("list-sas", { noblock: "yes" });
  }

  /** The daemon's own sum keeps ours honest, and shows that it is alive. */
  async count(nowSeconds: number): Promise<number> {
    const stats = (await this.#vici!.request("stats")).sections.get("ikesas")?.values;
    const own = Number(stats?.get("total")) - Number(stats?.get("half-open"));
    // Associations that it opens itself, or is about to delete, are in its sum and not in ours.
    const differs = Number.isFinite(own) && own - this.#associations.size !== this.#known;
    this.#differences = differs ? this.#differences + 1 : 0;
    if (this.#differences >= DIFFERENCES && nowSeconds - this.#listedAt >= LIST_AGAIN_SECONDS) {
      await this.#list(nowSeconds);
      this.#known = own - this.#associations.size;
      this.#differences = 0;
    }
    return this.#associations.size;
  }

  async peers(): Promise<SeedPeer[]> {
    const peers: SeedPeer[] = [];
    this.#listed = peers;
    try {
      await this.#vici!.request("list-sas", { noblock: "yes" });
    } finally {
      this.#listed = undefined;
    }
    return peers;
  }

  close(): void {
    this.#vici?.close();
  }

  #onEvent(name: string, message: ViciMessage): void {
    for (const association of message.sections.values()) {
      if (name === "list-sa") this.#onListed(association);
      else if (name === "ike-updown") this.#put(association, message.values.get("up") === "yes");
      else if (name === "ike-rekey") {
        this.#put(association.sections.get("old"), false);
        this.#put(association.sections.get("new"), true);
      }
    }
  }

  #onListed(association: ViciMessage): void {
    const { values } = association;
    if (!LIVE.has(values.get("state") ?? "")) return;
    this.#put(association, true);
    const peer = seedPeer(values.get("remote-host") ?? "", Number(values.get("remote-port")), true);
    if (peer) this.#listed?.push(peer);
  }

  #put(association: ViciMessage | undefined, up: boolean): void {
    const id = association?.values.get("uniqueid");
    if (id === undefined) return;
    if (up) this.#associations.add(id);
    else this.#associations.delete(id);
  }
}
