import fs from "node:fs";
import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import type { HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { firstAidOf, mitigationOf } from "@flowtriq/mitigation/mitigations";
import { toNftables } from "@flowtriq/mitigation/nftables";
import { plan } from "@flowtriq/mitigation/plan";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { type LaneId, portOf, VpnPort } from "@flowtriq/protocol/lane";
import { localPolicy, readConfig } from "./config.ts";
import { agentSocket, askAgent } from "./control.ts";
import { hookOf } from "./firewall.ts";
import { discoverPorts, watchedInterfaces } from "./host.ts";
import { type LaneInKernel, type LaneState, lanesInKernel, leaseOf, stateOf } from "./kernel.ts";
import { EPERM, NetlinkError } from "./netlink-error.ts";
import { NftSocket } from "./nft-socket.ts";
import { notPermitted, Problem } from "./problem.ts";
import type { StatusReport } from "./status.ts";
import { surroundings, tracksConnections } from "./surroundings.ts";
import { nft } from "./system.ts";
import { type Answer, columns, duration, type Paint, rate, type Style, short, wrap } from "./terminal.ts";
import { NAME } from "./usage.ts";

/** What the kernel holds now; or with a configuration file, what that would load. */
export const rules = (planFile: string | undefined, asNft: boolean, style: Style): Promise<Answer> =>
  planFile === undefined ? held(asNft, style) : planned(planFile, asNft, style);

async function held(asNft: boolean, style: Style): Promise<Answer> {
  const lanes = readKernel();
  if (lanes === undefined) return { json: { table: null, lanes: [] }, text: "Nothing of ours is in the kernel." };
  // Terse: what packets have taught the sets can be tens of thousands of elements.
  if (asNft) return rulesAsTheyAre(["-t", "list", "table", "inet", NAME]);
  const ports = await knownPorts(lanes.map(({ lane }) => lane));
  const explained = lanes.map((lane) => ({
    ...lane,
    state: stateOf(lane),
    leaseSeconds: leaseOf(lane),
    ...wordsOf(lane.lane, ports),
  }));
  return { json: { table: `inet ${NAME}`, lanes: explained }, text: heldText(explained, style) };
}

const rulesAsTheyAre = (args: string[]): Answer => {
  const text = nft(args);
  return { json: JSON.parse(nft(["-j", ...args])), text: text.trimEnd() };
};

function readKernel(): LaneInKernel[] | undefined {
  const socket = new NftSocket(NAME);
  try {
    const lanes = lanesInKernel(socket);
    return lanes.length > 0 ? lanes : undefined;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.errno === EPERM) throw notPermitted(error);
    return undefined;
  } finally {
    socket.close();
  }
}

/** What speaks on the ports of these lanes: as the running agent says, else as the host shows. */
async function knownPorts(lanes: LaneId[]): Promise<VpnPort[]> {
  const running = await askAgent(agentSocket(readConfig(undefined).stateDir), { command: "status" }).catch(
    () => undefined,
  );
  const known = (running?.ok as StatusReport | undefined)?.ports ?? (await discoverPorts());
  const seen = new Map(
    lanes.flatMap((lane) => {
      const port = portOf(lane);
      return port ? [[`${port.transport}:${port.port}`, port] as const] : [];
    }),
  );
  return [...seen.values()].map(
    ({ transport, port }) =>
      known.find((candidate) => candidate.port === port && candidate.transport === transport) ??
      VpnPort.parse({ port, transport, protocol: "other" }),
  );
}

/** What a lane does when it is armed, and the bound that first aid holds it below. */
function wordsOf(lane: LaneId, ports: VpnPort[]): { words: string | null; firstAidPps: number | null } {
  return {
    words: mitigationOf(lane, { ports, conntrack: tracksConnections() })?.words ?? null,
    firstAidPps: firstAidOf(lane)?.pps ?? null,
  };
}

type Explained = LaneInKernel & ReturnType<typeof wordsOf> & { state: LaneState; leaseSeconds: number | null };

function heldText(lanes: Explained[], { paint, width }: Style): string {
  const busy = lanes.filter(({ state, packets }) => state !== "open" || packets > 0);
  const idle = lanes.length - busy.length;
  const table = columns(
    [
      ["LANE", "STATE", "LEASE", "ARRIVED", "DROPPED", "WOULD DROP"],
      ...busy.map((lane) => [
        lane.lane,
        lane.state,
        lane.leaseSeconds === null ? "" : duration(lane.leaseSeconds),
        short(lane.packets),
        short(lane.dropped),
        short(lane.wouldDrop),
      ]),
    ],
    [2, 3, 4, 5],
  );
  const armed = lanes.filter(({ state }) => state === "armed" || state === "watched");
  const aided = lanes.filter(({ state }) => state === "first aid");
  return [
    ...(busy.length > 0 ? table.map((row, index) => painted(row, busy[index - 1]?.state, paint)) : []),
    ...(idle > 0 ? [paint.dim(`${idle} more lanes are open and have seen nothing.`)] : []),
    ...armed.flatMap((lane) => [
      "",
      wrap(`${lane.lane} ${lane.state === "armed" ? "drops" : "only counts"}: ${lane.words}.`, width - 2, 2),
    ]),
    ...(aided.length > 0 ? ["", wrap(firstAidWords(aided), width - 2, 2)] : []),
  ].join("\n");
}

function painted(row: string, state: LaneState | undefined, paint: Paint): string {
  if (state === undefined) return paint.bold(row);
  return state === "armed" ? paint.red(row) : state === "watched" ? paint.yellow(row) : row;
}

const firstAidWords = (lanes: { lane: LaneId; firstAidPps: number | null }[]) =>
  `First aid, before anything is judged, above its threshold and: ${lanes.map(({ lane, firstAidPps }) => `${lane} ${rate(firstAidPps ?? 0, "pps")}`).join(", ")}.`;

/** The table that a configuration would load on this host; read and checked, never loaded. */
async function planned(file: string, asNft: boolean, style: Style): Promise<Answer> {
  const config = readConfig(file);
  const { facts, check } = checkedByNft(await factsOf(config));
  const script = toNftables(facts);
  if (asNft) return { json: { nft: script, check }, text: script.trimEnd() };
  const policy = localPolicy(config);
  const firstAid = plan(policy, [], facts).firstAid;
  const lanes = lanesOf(facts.ports).map((lane) => ({
    lane,
    thresholdPps: facts.trips(lane).pps,
    ...wordsOf(lane, facts.ports),
    firstAid: firstAid.includes(lane),
    // What is normal here is never cut.
    firstAidPps: firstAid.includes(lane) ? Math.max(firstAidOf(lane)?.pps ?? 0, facts.trips(lane).pps) : null,
  }));
  const { hook, interfaces, ports } = facts;
  const json = { table: `inet ${NAME}`, hook, interfaces, ports, mode: policy.mode, check, lanes };
  return { json, text: plannedText(json, style) };
}

async function factsOf(config: AgentConfig): Promise<HostFacts> {
  const ports = config.ports ?? (await discoverPorts());
  const policy = localPolicy(config);
  const detector = new Detector({
    ports,
    policy,
    baselines: learned(config.stateDir),
    samples: { ports, mac1Keys: new Map() },
    newId: () => "atk_plan",
  });
  return {
    table: NAME,
    interfaces: config.interfaces.length > 0 ? config.interfaces : watchedInterfaces(config),
    ports,
    hook: "ingress",
    nflogGroup: config.nflogGroup,
    samplesPerSecond: config.samplesPerSecond,
    trips: (lane) => detector.threshold(lane).bell,
    seeds: [],
    busy: false,
    neverBlock: policy.neverBlock,
    notrack: config.notrack,
    ...surroundings(),
  };
}

/** Thresholds stand on what the agent has learned here; without that, or without the right to read it, on the floors. */
function learned(stateDir: string): Baselines {
  try {
    return Baselines.from(JSON.parse(fs.readFileSync(`${stateDir}/baselines.json`, "utf8")));
  } catch {
    return new Baselines();
  }
}

function checkedByNft(facts: HostFacts): { facts: HostFacts; check: string } {
  try {
    const hook = hookOf(facts);
    return { facts: { ...facts, hook }, check: "nft accepts it" };
  } catch (error) {
    if (error instanceof Problem) return { facts, check: `not checked by nft: ${error.message}` };
    throw error;
  }
}

type Planned = {
  hook: string;
  interfaces: string[];
  mode: string;
  check: string;
  lanes: (ReturnType<typeof wordsOf> & { lane: LaneId; thresholdPps: number; firstAid: boolean })[];
};

function plannedText({ hook, interfaces, mode, check, lanes }: Planned, { width, paint }: Style): string {
  const aided = lanes.filter(({ firstAid }) => firstAid);
  return [
    wrap(`Nothing was loaded. It would be: mode ${mode}, hook ${hook} on ${interfaces.join(", ")}; ${check}.`, width),
    "",
    ...lanes.map(({ lane, thresholdPps, words }) => {
      const left = `${lane.padEnd(22)}${rate(thresholdPps, "pps").padStart(10)}  `;
      return `${left}${wrap(words ?? paint.dim("reported, never dropped"), width - left.length, left.length)}`;
    }),
    ...(aided.length > 0 ? ["", wrap(firstAidWords(aided), width - 2, 2)] : []),
  ].join("\n");
}
