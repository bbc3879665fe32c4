import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { bulk } from "@flowtriq/lab/bulk";
import { flood } from "@flowtriq/lab/flood";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, run, start, type Topology } from "@flowtriq/lab/namespaces";
import { combine, type Probe, probe } from "@flowtriq/lab/probe";
import { sniff } from "@flowtriq/lab/sniff";
import { bearableLoss, processorTimes } from "@flowtriq/lab/stolen";
import { startWireguard, type Wireguard } from "@flowtriq/lab/wireguard";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { agentCommand, type RunningAgent, startAgent, TABLE } from "./agent.ts";

const isRoot = process.getuid?.() === 0;
const CONFIG = {
  interfaces: ["eth0"],
  ports: [
    { port: 51820, transport: "udp", protocol: "wireguard" },
    { port: 51821, transport: "udp", protocol: "wireguard" },
    { port: 443, transport: "tcp", protocol: "openvpn" },
  ],
  mode: "enforce",
  policy: { quietSeconds: 5, leaseSeconds: 15 },
};

/** Packets of one session from elsewhere than its peer that pass in a second while its lane is armed: docs/agent.md. */
const ROAMING_PPS = 100;

// Network namespaces, tunnels and rules are root's.
describe.skipIf(!isRoot)("peers of a concentrator", () => {
  let lab: Topology;
  let wireguard: Wireguard;
  let agent: RunningAgent | undefined;
  let probes: Probe[] = [];

  beforeAll(async () => {
    lab = await createTopology({ clients: 2 });
    wireguard = await startWireguard(lab);
  });
  afterAll(async () => {
    await lab?.destroy();
  });
  afterEach(async () => {
    await Promise.all(probes.map((one) => one.stop()));
    probes = [];
    await agent?.end("SIGKILL");
    agent = undefined;
    await agentCommand(lab, "withdraw", "--all");
  });
  const nft = (...commands: string[]) => run(lab.concentrator.namespace, ["nft", commands.join("; ")]);

  test("rules that cut off known peers are rolled back by themselves, and say so", async () => {
    agent = await startAgent(lab, CONFIG);
    probes = wireguard.clients.map(({ host }) =>
      probe({ namespace: host.namespace, target: wireguard.address[4], intervalMs: 20 }),
    );
    await Promise.all(probes.map((one) => one.answered));
    // The closed loop learns in peace what peers usually get through, and the table that these have finished handshakes.
    await delay(8_000);
    await nft(...wireguard.clients.map(({ host }) => `add element inet ${TABLE} met4 { ${host.address[4]} }`));
    const attack = await flood(lab, { attack: "wireguard_data", pps: 20_000, seconds: 40, port: 51820 });
    const applied = await agent.waitFor("mitigation.applied");
    // As if the kernel had never heard of them: no rule can be that wrong, but a set that overflows may be.
    const forget = setInterval(
      () =>
        void nft(...["wg_index", "wg_seen", "peer4"].map((set) => `flush set inet ${TABLE} ${set}`)).catch(() => {}),
      50,
    );
    try {
      const removed = await agent.waitFor("mitigation.removed", undefined, 20_000);
      expect(removed).toMatchObject({ attack: applied.attack, reason: "rolled_back" });
      await agent.waitFor("agent.warning", ({ code }) => code === "rule_rolled_back");
    } finally {
      clearInterval(forget);
      await attack.stop();
    }
  });

  describe("whose session was overheard", () => {
    const DATA = "udp:51820:data";
    const QUICK_DATA = { ...CONFIG, policy: { ...CONFIG.policy, thresholdsPps: { [DATA]: 5_000 } } };

    test.each([
      ["made-up data on its index from anywhere", "wireguard_data", "anywhere"],
      ["its packets from anywhere", "replayed", "anywhere"],
      ["its packets from its own address", "replayed", "its own"],
    ] as const)("keeps its tunnel, as all do, while it is flooded with %s", async (_, attack, from) => {
      agent = await startAgent(lab, QUICK_DATA);
      probes = wireguard.clients.map(({ host }) =>
        probe({ namespace: host.namespace, target: wireguard.address[4], intervalMs: 50 }),
      );
      await Promise.all(probes.map((one) => one.answered));
      const overheard = await sniff(wireguard.clients[0]!.host, {
        port: 51820,
        packets: 5,
        which: ([type]) => type === 4,
      });
      const { source: address, sourcePort } = overheard[0]!;
      const running = await flood(lab, {
        ...{ attack, pps: 100_000, seconds: 60, port: 51820, recorded: overheard.map(({ payload }) => payload) },
        ...(from === "its own" ? { sources: { address }, sourcePort } : {}),
      });
      const started = await agent.waitFor("attack.started");
      expect(started).toMatchObject({ lane: DATA, vector: "wireguard_data_flood", tunnelsBefore: 2 });
      await agent.waitFor("mitigation.applied");
      // What the server had in its socket before there were rules.
      await delay(1_000);
      const [times, since] = [processorTimes(), Date.now()];
      const meter = await startMeter(lab);
      await delay(3_000);
      const { arrived, passed } = await meter.read();
      await meter.stop();
      const seconds = (Date.now() - since) / 1000;
      expect(arrived.packets).toBeGreaterThan(10_000);
      expect(passed.packets).toBeLessThanOrEqual(ROAMING_PPS * (seconds + 1));
      const pings = combine(probes.map((one) => one.result())).samples.filter(({ at }) => at > since);
      expect(pings.length).toBeGreaterThan(40);
      const lost = pings.filter(({ rttMs }) => rttMs === null).length;
      expect(lost).toBeLessThanOrEqual(bearableLoss(pings.length, times));
      await running.stop();
      const { stdout } = await agentCommand(lab, "status", "--json");
      expect(JSON.parse(stdout)).toMatchObject({ tunnels: 2, armed: [DATA] });
      expect(agent.events().filter(({ event }) => event === "agent.warning")).toEqual([]);
    });

    test("or who uploads as fast as it can, is no attacker", async () => {
      const least = { ...CONFIG.policy, thresholdsPps: { [DATA]: 100 } };
      agent = await startAgent(lab, { ...CONFIG, policy: least });
      const { bytes } = await bulk({
        ...{ from: wireguard.clients[0]!.host, to: lab.concentrator },
        ...{ address: wireguard.address[4], seconds: 6 },
      });
      expect(bytes).toBeGreaterThan(1_000_000);
      const { stdout } = await agentCommand(lab, "status", "--json");
      // Its bell has rung, and it was judged.
      expect(JSON.parse(stdout).samples).toBeGreaterThan(64);
      expect(agent.events().map(({ event }) => event)).toEqual(["agent.ready"]);
    });
  });

  test("where the server itself speaks otherwise, a stranger who does so too gets in during a flood of junk", async () => {
    const server = start(lab.concentrator.namespace, ["node", "-e", ECHO, "51821"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(server.stdout!, "data");
    agent = await startAgent(lab, CONFIG);
    const client = start(lab.clients[0]!.namespace, ["node", "-e", TALK, lab.concentrator.address[4], "51821"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(client.stdout!, "data");
    await agent.waitFor("agent.warning", ({ code }) => code === "disguised_protocol");
    client.kill();
    const attack = await flood(lab, { attack: "udp_random", pps: 50_000, seconds: 30, port: 51821 });
    await agent.waitFor("mitigation.applied");
    const stranger = start(lab.clients[1]!.namespace, ["node", "-e", TALK, lab.concentrator.address[4], "51821"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(stranger.stdout!, "data");
    const meter = await startMeter(lab, { ports: [51821] });
    await delay(1_000);
    const { arrived, passed } = await meter.read();
    await meter.stop();
    expect(passed.packets).toBeLessThan(arrived.packets / 100);
    await attack.stop();
    stranger.kill();
    server.kill();
  });

  test("a port whose peers have all spoken plainly is held to the protocol's shape, until one of them does not", async () => {
    agent = await startAgent(lab, CONFIG);
    probes = wireguard.clients.map(({ host }) =>
      probe({ namespace: host.namespace, target: wireguard.address[4], intervalMs: 2 }),
    );
    /** Whether junk is dropped before anybody asks which peer sent it. */
    const isPlain = async () => {
      const { stdout } = await nft(`list chain inet ${TABLE} siege_udp_51820`);
      return !stdout.includes("y_udp_51820");
    };
    expect(await isPlain()).toBe(false);
    await expect.poll(isPlain, { timeout: 30_000 }).toBe(true);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 30, port: 51820 });
    await agent.waitFor("mitigation.applied");
    await Promise.all(probes.map((one) => one.stop()));
    probes = wireguard.clients.map(({ host }) =>
      probe({ namespace: host.namespace, target: wireguard.address[4], intervalMs: 50 }),
    );
    await Promise.all(probes.map((one) => one.answered));
    await attack.stop();
    await agent.waitFor("attack.ended", undefined, 30_000);

    const { address, namespace } = lab.clients[0]!;
    await nft(`add element inet ${TABLE} peer4 { ${address[4]} . 5555 }`);
    await run(namespace, ["node", "-e", ONE_ODD_PACKET, lab.concentrator.address[4], "51820"]);
    await expect.poll(isPlain, { timeout: 30_000 }).toBe(false);
  });

  test("a connection that is older than the agent survives a flood of segments, also when it was silent for long", async () => {
    const server = start(lab.concentrator.namespace, ["node", "-e", TCP_ECHO, "443"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(server.stdout!, "data");
    const client = start(lab.clients[0]!.namespace, ["node", "-e", TCP_TALK, lab.concentrator.address[4], "443"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    await once(client.stdout!, "data");
    agent = await startAgent(lab, CONFIG);
    // What the rules remember of it runs out; the kernel's own list of connections does not.
    await nft(`flush set inet ${TABLE} tcppeer4`);
    const attack = await flood(lab, { attack: "ack", pps: 50_000, seconds: 30, port: 443 });
    const started = await agent.waitFor("attack.started");
    expect(started.lane).toBe("tcp:443:unissued");
    await agent.waitFor("mitigation.applied");
    const answered = once(client.stdout!, "data");
    client.stdin!.write("still there?\n");
    expect(String((await answered)[0])).toContain("still there?");
    await attack.stop();
    client.kill();
    server.kill();
  });
});

const ECHO = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (message, from) => socket.send(message, from.port, from.address));
socket.bind(Number(process.argv[1]), () => console.log("up"));
`;
/** Twenty-five packets of no shape a second until killed; says so when thirty were answered. */
const TALK = `
const socket = require("node:dgram").createSocket("udp4");
let answers = 0;
socket.on("message", () => { if (++answers === 30) console.log("answered"); });
setInterval(() => socket.send(Buffer.alloc(200, 0x5a), Number(process.argv[2]), process.argv[1]), 40);
`;
const ONE_ODD_PACKET = `
const socket = require("node:dgram").createSocket("udp4");
socket.bind(5555, () => socket.send(Buffer.alloc(200, 0x5a), Number(process.argv[2]), process.argv[1], () => socket.close()));
`;
const TCP_ECHO = `
require("node:net").createServer((socket) => socket.pipe(socket)).listen(Number(process.argv[1]), () => console.log("up"));
`;
const TCP_TALK = `
const socket = require("node:net").connect(Number(process.argv[2]), process.argv[1]);
socket.on("data", (data) => process.stdout.write(data));
process.stdin.on("data", (data) => socket.write(data));
socket.on("connect", () => socket.write("hello\\n"));
`;
