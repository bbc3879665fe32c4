import type { SeedPeer } from "@flowtriq/mitigation/facts";
import type { AgentConfig } from "@flowtriq/protocol/config";
import type { VpnPort, VpnProtocol } from "@flowtriq/protocol/lane";
import { type Daemon, listeningPorts, type Program, vpnDaemons, vpnProcesses } from "./daemons.ts";
import { openvpn, openvpnDaemon } from "./vpn/openvpn.ts";
import { type TunnelSource, Unreadable } from "./vpn/source.ts";
import { strongswan } from "./vpn/strongswan.ts";
import { wireguard } from "./vpn/wireguard.ts";

/** Daemons that come later are found so soon; a daemon that has ended is looked for more often, for a while. */
const SURVEY_SECONDS = 15;
const SEARCH_SECONDS = 2;
const SEARCHING_SECONDS = 60;
/** As long as the same processes run, their sockets are looked at this seldom. */
const SOCKETS_SECONDS = 300;
/** A daemon that is just starting is not worth a word. */
const GRACE_SECONDS = 3;
/** What keeps a source from telling is said once, and again if it is still so after this long. */
const SAY_AGAIN_SECONDS = 3_600;
const NEVER = Number.NEGATIVE_INFINITY;

export type TunnelsOptions = {
  vpn: AgentConfig["vpn"];
  ports: VpnPort[];
  /** Told once for each source that is there and cannot be read. */
  onTrouble: (message: string) => void;
};

type Answer = { source: TunnelSource; count?: number; error?: Unreadable };

/** Who is connected to this host, whatever the VPN: the sum over its daemons. */
export class Tunnels {
  readonly #options: TunnelsOptions;
  #sources = new Map<string, TunnelSource>();
  /** Of sources that do not tell: since when, and when it was said. */
  #troubles = new Map<string, { since: number; saidAt: number }>();
  #processes = "";
  #surveyedAt = NEVER;
  #socketsAt = NEVER;
  #lostAt = NEVER;
  #counting: Promise<number | null> | undefined;
  #told: { at: number; count: number | null } = { at: NEVER, count: null };

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  /** Live tunnels; null when nothing here can tell, or one of the daemons does not: never a guess. */
  count(nowSeconds: number): Promise<number | null> {
    this.#counting ??= this.#count(nowSeconds).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  /** Peers with a live session, of those daemons that can tell. */
  async livePeers(nowSeconds: number): Promise<SeedPeer[]> {
    this.#survey(nowSeconds, true);
    const asked = [...this.#sources.values()].map((source) =>
      source.peers(nowSeconds).catch((error: unknown) => {
        if (error instanceof Unreadable) return [];
        throw error;
      }),
    );
    return (await Promise.all(asked)).flat();
  }

  close(): void {
    for (const source of this.#sources.values()) source.close();
  }

  async #count(nowSeconds: number): Promise<number | null> {
    const searching = nowSeconds - this.#lostAt < SEARCHING_SECONDS;
    const due = nowSeconds - this.#surveyedAt >= (searching ? SEARCH_SECONDS : SURVEY_SECONDS);
    if (due) this.#survey(nowSeconds, searching);
    let answers = await this.#askAll(nowSeconds);
    if (answers.some(({ error, source }) => error?.gone && !this.#isTroubled(source))) {
      this.#lostAt = nowSeconds;
      this.#survey(nowSeconds, true);
      answers = await this.#askAll(nowSeconds);
    }
    for (const answer of answers) this.#watch(answer, nowSeconds);
    if (answers.some(({ error }) => error?.gone)) return null;
    // A daemon that is slow to answer, as in the first seconds of a flood, has the tunnels that it had a moment ago.
    if (answers.some(({ error }) => error))
      return nowSeconds - this.#told.at <= GRACE_SECONDS ? this.#told.count : null;
    const known = answers.flatMap(({ count }) => count ?? []);
    const count = known.length > 0 ? known.reduce((sum, one) => sum + one, 0) : null;
    this.#told = { at: nowSeconds, count };
    return count;
  }

  #askAll(nowSeconds: number): Promise<Answer[]> {
    const ask = async (source: TunnelSource): Promise<Answer> => {
      try {
        return { source, count: await source.count(nowSeconds) };
      } catch (error) {
        if (error instanceof Unreadable) return { source, error };
        throw error;
      }
    };
    return Promise.all([...this.#sources.values()].map(ask));
  }

  #isTroubled = ({ key }: TunnelSource) =>
    (this.#troubles.get(key)?.since ?? Number.POSITIVE_INFINITY) < Number.POSITIVE_INFINITY;

  #watch({ source: { key }, error }: Answer, nowSeconds: number): void {
    const trouble = this.#troubles.get(key);
    if (!error) {
      // What was said is remembered: a source that comes and goes is one warning.
      if (trouble) trouble.since = Number.POSITIVE_INFINITY;
    } else if (!trouble || trouble.since === Number.POSITIVE_INFINITY) {
      this.#troubles.set(key, { since: nowSeconds, saidAt: trouble?.saidAt ?? NEVER });
    } else if (nowSeconds - trouble.since >= GRACE_SECONDS && nowSeconds - trouble.saidAt >= SAY_AGAIN_SECONDS) {
      trouble.saidAt = nowSeconds;
      this.#options.onTrouble(error.message);
    }
  }

  /** Finds the daemons anew; those that are known already stay connected. */
  #survey(nowSeconds: number, thoroughly: boolean): void {
    this.#surveyedAt = nowSeconds;
    const processes = vpnProcesses();
    if (!thoroughly && processes === this.#processes && nowSeconds - this.#socketsAt < SOCKETS_SECONDS) return;
    this.#processes = processes;
    this.#socketsAt = nowSeconds;
    const before = this.#sources;
    const wanted = sourcesOf(vpnDaemons(), this.#options);
    this.#sources = new Map(wanted.map((source) => [source.key, before.get(source.key) ?? source]));
    for (const [key, source] of before) {
      if (this.#sources.has(key)) continue;
      source.close();
      this.#troubles.delete(key);
    }
  }
}

/** Everything that can be asked, and in place of what cannot, a source that says so. */
function sourcesOf(daemons: Daemon[], { vpn, ports }: TunnelsOptions): TunnelSource[] {
  const readable = [
    ...(vpn.openvpn?.map((doors) => openvpn("OpenVPN", doors)) ?? daemons.flatMap(openvpnSources)),
    ...(vpn.strongswan?.map(strongswan) ?? daemons.flatMap(strongswanSources)),
  ];
  const programs = daemons.flatMap(({ program }) => MUTE[program] ?? []);
  const told = new Set<VpnProtocol>(["wireguard"]);
  if (vpn.openvpn || readable.some(({ key }) => key.startsWith("openvpn"))) told.add("openvpn");
  if (vpn.strongswan || readable.some(({ key }) => key.startsWith("strongswan"))) {
    // L2TP runs inside IPsec, where its users have been counted.
    for (const protocol of ["ike", "ipsec_nat_t", "l2tp"] as const) told.add(protocol);
  }
  return [wireguard, ...readable, ...[...new Set(programs)].map(mute), ...unattended(ports, told)];
}

/** Daemons that serve tunnels and cannot be asked, by what an operator calls them. */
const MUTE: Partial<Record<Program, string>> = {
  libreswan: "Libreswan (pluto)",
  iked: "OpenIKED",
  racoon: "racoon",
  softether: "SoftEther",
  "accel-ppp": "accel-ppp",
  sstpd: "the SSTP server",
};

const mute = (name: string): TunnelSource =>
  unreadable(name, new Unreadable(`The tunnels of ${name} cannot be counted`));

/** Ports that are served, by whom cannot be seen: for instance without the right to look at other users' processes. */
function unattended(ports: VpnPort[], told: Set<VpnProtocol>): TunnelSource[] {
  const untold = ports.filter(({ protocol }) => !told.has(protocol));
  if (untold.length === 0) return [];
  const served = listeningPorts();
  const open = untold.filter((one) =>
    served.some(({ transport, port }) => transport === one.transport && port === one.port),
  );
  return open.map(({ transport, port, protocol }) =>
    unreadable(
      `${transport} ${port}`,
      new Unreadable(`Port ${port}/${transport} (${protocol}) is served, by what cannot be asked: ${REMEDY}`),
    ),
  );
}

const REMEDY = 'its tunnels are unknown; "vpn" in the configuration can name a status file or a control socket';

const unreadable = (name: string, why: Unreadable): TunnelSource => ({
  key: `unreadable ${name}`,
  async count() {
    throw why;
  },
  async peers() {
    return [];
  },
  close() {},
});

function openvpnSources(daemon: Daemon): TunnelSource[] {
  if (daemon.program !== "openvpn") return [];
  const { role, doors } = openvpnDaemon(daemon);
  const name = `OpenVPN (process ${daemon.pid})`;
  // A tunnel that this host opens itself is no user's.
  if (role === "client") return [];
  if (role === "pointToPoint") return [mute(`${name}, point-to-point,`)];
  return [openvpn(name, doors, daemon.pid)];
}

function strongswanSources(daemon: Daemon): TunnelSource[] {
  if (daemon.program !== "strongswan") return [];
  const socket = daemon.unixSockets.find((path) => path.endsWith("vici"));
  const name = `strongSwan (process ${daemon.pid})`;
  // A daemon that is just starting has none yet.
  const missing = new Unreadable(`${name} has no vici socket: load its plugin vici`, { gone: true });
  return [socket ? strongswan(socket) : unreadable(name, missing)];
}
