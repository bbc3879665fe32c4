import { afterAll, beforeAll, expect, test } from "vitest";
import { bunPath, type FloodOptions, flood } from "../src/flood.ts";
import { createTopology, run, type Topology } from "../src/namespaces.ts";
import { asRoot } from "./root.ts";

let lab: Topology;

beforeAll(async () => {
  if (process.getuid?.() === 0) lab = await createTopology({ clients: 0 });
});
afterAll(async () => {
  await lab?.destroy();
});

const base = { attack: "udp_random", pps: 20_000, seconds: 1 } satisfies FloodOptions;

async function arrived(): Promise<number> {
  const file = "/sys/class/net/eth0/statistics/rx_packets";
  return Number((await run(lab.concentrator.namespace, ["cat", file])).stdout);
}

asRoot.each([4, 6] as const)(
  "20,000 packets at 20,000 a second over IPv%d take a second at least, and all arrive",
  async (family) => {
    const before = await arrived();
    const { sent, seconds } = await (await flood(lab, { ...base, family, seconds: 20, packets: 20_000 })).result;
    expect(sent).toBe(20_000);
    // A busy machine may make it slower, nothing makes it faster.
    expect(seconds).toBeGreaterThan(0.95);
    expect((await arrived()) - before).toBeGreaterThanOrEqual(sent);
  },
);

asRoot("the bound on packets is exact", async () => {
  const { sent } = await (await flood(lab, { ...base, seconds: 20, packets: 1234 })).result;
  expect(sent).toBe(1234);
});

asRoot("pulses send only in their time on", async () => {
  const { sent, log } = await (await flood(lab, { ...base, pulses: { on: 0.1, off: 0.3 } })).result;
  // 0 to 0.1, 0.4 to 0.5 and 0.8 to 0.9 s; what a busy machine has missed in one pulse it may send in the next or not at all.
  expect(sent).toBeLessThanOrEqual(6_000);
  const by = (ms: number) => log.findLast(([at]) => at <= ms)?.[1] ?? 0;
  expect(by(390)).toBeLessThanOrEqual(2_001);
  expect(by(790)).toBeLessThanOrEqual(4_001);
  expect(sent).toBeGreaterThan(by(390));
});

asRoot("a flood can be stopped early, and says when its first packet went out", async () => {
  const before = Date.now();
  const running = await flood(lab, { ...base, seconds: 60 });
  expect(running.firstPacketAt).toBeGreaterThanOrEqual(before);
  expect(running.firstPacketAt).toBeLessThanOrEqual(Date.now() + 1);
  const { seconds, sent, log, firstPacketAt } = await running.stop();
  expect(seconds).toBeLessThan(30);
  expect(firstPacketAt).toBe(running.firstPacketAt);
  expect(log.at(-1)?.[1]).toBe(sent);
});

asRoot("the send log leads from the first packet to the last, finely at first", async () => {
  const { log, sent } = await (await flood(lab, base)).result;
  expect(log[0]?.[1]).toBeLessThan(100);
  expect(log.at(-1)?.[1]).toBe(sent);
  expect(log.filter(([at]) => at < 200).length).toBeGreaterThan(20);
  expect(log.every(([, count], index) => index === 0 || count >= log[index - 1]![1])).toBe(true);
});

asRoot("the sender dies with whoever started it", async () => {
  const modules = new URL("../src/", import.meta.url).href;
  const script = `import { openTopology } from "${modules}namespaces.ts"; import { flood } from "${modules}flood.ts";
    await flood(await openTopology("${lab.prefix}"), ${JSON.stringify({ ...base, seconds: 60 })}); process.kill(process.pid, "SIGKILL");`;
  await expect(run(lab.internet, [bunPath(), "-e", script])).rejects.toThrow();
  const senders = async () => (await run(lab.internet, ["ip", "netns", "pids", lab.attacker.namespace])).stdout.trim();
  await expect.poll(senders, { timeout: 5_000 }).toBe("");
});

asRoot("the sender refuses to run outside an attacker's namespace", async () => {
  const main = new URL("../src/flood/main.ts", import.meta.url).pathname;
  const request = {
    ...base,
    interface: "eth0",
    destination: "10.99.0.1",
    sourceMac: lab.floodMac,
    destinationMac: lab.floodMac,
  };
  const started = run(lab.concentrator.namespace, [bunPath(), main, JSON.stringify(request)]);
  await expect(started).rejects.toThrow("only runs in the namespace of a lab's attacker");
});

const refused: [string, Record<string, unknown>][] = [
  ["an unknown attack", { attack: "nuke" }],
  ["no packets a second", { pps: 0 }],
  ["a rate beyond bounds", { pps: 1e9 }],
  ["more than a minute", { seconds: 61 }],
  ["no time", { seconds: 0 }],
  ["endless time", { seconds: Number.POSITIVE_INFINITY }],
  ["port 0", { port: 0 }],
  ["a port that is a word", { port: "51820; id" }],
  ["no such family", { family: 5 }],
  ["a source that is no address", { sources: { address: "10.0.0.0/8" } }],
  ["no sources", { sources: { count: 0 } }],
  ["a prefix without a length", { sources: { prefix: "2001:db8::" } }],
  ["a carpet over no prefix", { destinations: "198.51.100.0" }],
  ["a recording that is no base64", { recorded: ["not at all!"] }],
  ["an unknown option", { destination: "192.0.2.1" }],
];

test.each(refused)("%s is refused before anything starts", async (_, change) => {
  const options = { ...base, ...change } as FloodOptions;
  await expect(flood({} as Topology, options)).rejects.toThrow(/"path"|Invalid|Unrecognized/);
});

asRoot("sources of the wrong family are an error, not a flood", async () => {
  await expect(flood(lab, { ...base, family: 6, sources: { address: "192.0.2.1" } })).rejects.toThrow("not of IPv6");
});
