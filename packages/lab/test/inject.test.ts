import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { bunPath } from "../src/flood.ts";
import { type InjectedFloodOptions, injectFlood } from "../src/inject.ts";
import { type Meter, startMeter } from "../src/meter.ts";
import { createTopology, run, type Topology } from "../src/namespaces.ts";
import { asRoot } from "./root.ts";

let lab: Topology;
let meter: Meter;

beforeAll(async () => {
  if (process.getuid?.() !== 0) return;
  lab = await createTopology({ clients: 0 });
  meter = await startMeter(lab);
});
beforeEach(async () => {
  await meter?.reset();
});
afterAll(async () => {
  await lab?.destroy();
});

const base = { attack: "udp_random", pps: 20_000, seconds: 0.5 } satisfies InjectedFloodOptions;

async function kernelCount(name: string): Promise<number> {
  const { stdout } = await run(lab.concentrator.namespace, ["nstat", "-asz", name]);
  return Number(new RegExp(`${name}\\s+(\\d+)`).exec(stdout)?.[1]);
}

asRoot(
  "the interface receives all packets of an injected flood, and the kernel finds their checksums right",
  async () => {
    const { sent, log } = await (await injectFlood(lab, base)).result;
    // A busy machine may make it slower, nothing makes it faster than its rate and a burst.
    expect(sent).toBeLessThanOrEqual(10_100);
    expect(log.at(-1)?.[1]).toBe(sent);
    const { arrived, passed, ports } = await meter.read();
    expect(arrived.packets).toBe(sent);
    // The kernel throws packets with a wrong IP header away before this place.
    expect(passed.packets).toBe(sent);
    expect(ports.get(51820)?.arrived.packets).toBe(sent);
    // Nobody listens there: UDP has looked at them and found nothing else wrong.
    expect(await kernelCount("UdpInCsumErrors")).toBe(0);
    expect(await kernelCount("UdpNoPorts")).toBeGreaterThanOrEqual(sent);
  },
);

asRoot("each packet has a source of its own, between 20.0.0.0 and 83.255.255.255", async () => {
  const table = "table inet sources { set seen { type ipv4_addr; size 65535; flags dynamic; }";
  const chain = 'chain c { type filter hook ingress device "eth0" priority -950; update @seen { ip saddr };}\n}';
  await run(lab.concentrator.namespace, ["nft", "-f", "-"], { input: `${table}\n${chain}` });
  const { sent } = await (await injectFlood(lab, { ...base, pps: 5_000, seconds: 0.2 })).result;
  const { stdout } = await run(lab.concentrator.namespace, ["nft", "-j", "list", "set", "inet", "sources", "seen"]);
  await run(lab.concentrator.namespace, ["nft", "delete", "table", "inet", "sources"]);
  const { nftables } = JSON.parse(stdout) as { nftables: { set?: { elem: string[] } }[] };
  const seen = nftables.flatMap(({ set }) => set?.elem ?? []);
  // Of a thousand among a billion two may be the same.
  expect(seen.length).toBeGreaterThan(sent * 0.99);
  const first = seen.map((address) => Number(address.split(".")[0]));
  expect(Math.min(...first)).toBeGreaterThanOrEqual(20);
  expect(Math.max(...first)).toBeLessThanOrEqual(83);
});

asRoot("an injected flood can be stopped early", async () => {
  const running = await injectFlood(lab, { ...base, seconds: 600 });
  const { seconds } = await running.stop();
  expect(seconds).toBeLessThan(60);
});

asRoot("it refuses to run outside a concentrator's namespace", async () => {
  const main = new URL("../src/inject/flood.ts", import.meta.url).pathname;
  const started = run(lab.attacker.namespace, [bunPath(), main, JSON.stringify(base)]);
  await expect(started).rejects.toThrow("only runs in the namespace of a lab's concentrator");
});

test.each([
  ["no time", { seconds: 0 }],
  ["more than an hour", { seconds: 3_601 }],
  ["IPv6", { family: 6 }],
  ["sources that are not random", { sources: { count: 3 } }],
])("%s is refused before anything starts", async (_, change) => {
  const options = { ...base, ...change } as InjectedFloodOptions;
  await expect(injectFlood({} as Topology, options)).rejects.toThrow(/"path"|Invalid|Unrecognized/);
});
