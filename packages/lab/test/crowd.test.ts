import { afterAll, beforeAll, expect, test } from "vitest";
import { type CrowdOptions, startCrowd } from "../src/crowd.ts";
import { bunPath, flood } from "../src/flood.ts";
import { createTopology, run, type Topology } from "../src/namespaces.ts";
import { startWireguard, type Wireguard } from "../src/wireguard.ts";
import { asRoot } from "./root.ts";

let lab: Topology;
let wireguard: Wireguard;

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  lab = await createTopology({ clients: 2 });
  wireguard = await startWireguard(lab, { clients: [] });
});
afterAll(async () => {
  await lab?.destroy();
});

const places = [
  [4, "one_address", 1],
  [4, "own_address", 60],
  [6, "one_address", 1],
  [6, "own_address", 60],
  [6, "one_48", 60],
  [6, "one_64", 60],
] as const;

asRoot.each(places)(
  "over IPv%d with %s a crowd connects, and the server takes its data before and after it has other ports",
  async (family, sources, addresses) => {
    const crowd = await startCrowd(lab, wireguard, lab.clients[0]!, { clients: 60, family, sources });
    const outcomes = await crowd.connect({ withinMs: 500 });
    expect(outcomes).toHaveLength(60);
    expect(outcomes.filter(({ ms }) => ms === null)).toEqual([]);
    expect(await crowd.data({ pps: 5, seconds: 1 })).toEqual({ sent: 300, accepted: 300 });
    const before = await endpoints(crowd.publicKeys);
    await crowd.rebind();
    expect(await crowd.data({ pps: 5, seconds: 1, bytes: 0 })).toEqual({ sent: 300, accepted: 300 });
    const after = await endpoints(crowd.publicKeys);
    expect(new Set([...before, ...after]).size).toBe(120);
    const hosts = new Set(after.map((endpoint) => endpoint.slice(0, endpoint.lastIndexOf(":"))));
    expect(hosts.size).toBe(addresses);
    await crowd.stop();
    expect(await endpoints(crowd.publicKeys)).toEqual([]);
  },
);

/** Where the server sees these clients. */
async function endpoints(publicKeys: string[]): Promise<string[]> {
  const { stdout } = await run(lab.concentrator.namespace, ["wg", "show", wireguard.interface, "endpoints"]);
  const byKey = new Map(stdout.split("\n").map((line) => line.split("\t") as [string, string]));
  return publicKeys.flatMap((key) => byKey.get(key) ?? []);
}

asRoot("initiations that the server took are there to be replayed, and it takes none of them twice", async () => {
  const crowd = await startCrowd(lab, wireguard, lab.clients[0]!, { clients: 20 });
  await crowd.connect();
  const recorded = await crowd.initiations();
  expect(recorded).toHaveLength(20);
  const { publicKey: serverPublicKey } = wireguard;
  const attack = { attack: "wireguard_initiation_valid_mac1", pps: 500, seconds: 20, packets: 200 } as const;
  const before = await endpoints(crowd.publicKeys);
  expect((await (await flood(lab, { ...attack, serverPublicKey, recorded })).result).sent).toBe(200);
  // A replay that was taken would have moved its client to the attacker's address.
  expect(await endpoints(crowd.publicKeys)).toEqual(before);
  await crowd.stop();
});

asRoot("under load the server asks for a cookie, and takes the try that shows it", async () => {
  const crowd = await startCrowd(lab, wireguard, lab.clients[1]!, { clients: 30, sources: "own_address" });
  const { publicKey: serverPublicKey } = wireguard;
  const attack = { attack: "wireguard_initiation_valid_mac1", pps: 30_000, seconds: 60 } as const;
  const running = await flood(lab, { ...attack, serverPublicKey });
  try {
    const outcomes = await crowd.connect({ withinMs: 3_000, tries: 9 });
    expect(outcomes.filter(({ ms, cookies }) => ms !== null && cookies > 0).length).toBeGreaterThan(0);
  } finally {
    await running.stop();
  }
  await crowd.stop();
});

asRoot("who gets no answer tries as often as he was told, five seconds apart, and gives up", async () => {
  const own = await createTopology({ clients: 1 });
  try {
    const silent = await startWireguard(own, { clients: [] });
    const crowd = await startCrowd(own, silent, own.clients[0]!, { clients: 3 });
    await run(own.concentrator.namespace, ["ip", "link", "set", "eth0", "down"]);
    const outcomes = await crowd.connect({ tries: 2 });
    expect(outcomes.map(({ tries, ms }) => [tries, ms])).toEqual([2, 2, 2].map((tries) => [tries, null]));
    for (const { longestPauseMs } of outcomes) expect(longestPauseMs).toBeGreaterThanOrEqual(4_999);
    await crowd.stop();
    await expect(crowd.connect()).rejects.toThrow("has gone home");
  } finally {
    await own.destroy();
  }
});

asRoot("a crowd dies with whoever started it", async () => {
  const modules = new URL("../src/", import.meta.url).href;
  const { port, publicKey } = wireguard;
  const server = JSON.stringify({ port, publicKey, interface: wireguard.interface });
  const script = `import { openTopology } from "${modules}namespaces.ts"; import { startCrowd } from "${modules}crowd.ts";
    const lab = await openTopology("${lab.prefix}"); await startCrowd(lab, ${server}, lab.clients[1], { clients: 5 });
    console.log("started"); process.kill(process.pid, "SIGKILL");`;
  await expect(run(lab.internet, [bunPath(), "-e", script])).rejects.toMatchObject({ stdout: "started\n" });
  const left = async () => (await run(lab.internet, ["ip", "netns", "pids", lab.clients[1]!.namespace])).stdout.trim();
  await expect.poll(left, { timeout: 10_000 }).toBe("");
});

const refused: [string, Record<string, unknown>][] = [
  ["nobody", { clients: 0 }],
  ["more than it can be", { clients: 5_001 }],
  ["no such family", { clients: 1, family: 5 }],
  ["no such place", { clients: 1, sources: "everywhere" }],
  ["an unknown option", { clients: 1, host: "10.99.0.1" }],
];

test.each(refused)("%s is refused before anything starts", async (_, options) => {
  await expect(startCrowd({} as Topology, {} as Wireguard, {} as never, options as CrowdOptions)).rejects.toThrow(
    /"path"|Invalid|Unrecognized/,
  );
});

asRoot("what it cannot do is refused, and it goes on", async () => {
  await expect(
    startCrowd(lab, wireguard, lab.clients[0]!, { clients: 2, family: 4, sources: "one_64" }),
  ).rejects.toThrow("one_64 is for IPv6");
  const crowd = await startCrowd(lab, wireguard, lab.clients[0]!, { clients: 2 });
  await expect(crowd.connect({ tries: 0 })).rejects.toThrow(/tries/);
  await expect(crowd.data({ pps: -1, seconds: 1 })).rejects.toThrow(/pps/);
  expect(await crowd.data({ pps: 5, seconds: 0.1 })).toEqual({ sent: 0, accepted: 0 });
  expect((await crowd.connect()).every(({ ms }) => ms !== null)).toBe(true);
  await crowd.stop();
});
