import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, FAMILIES, run, start, type Topology } from "@flowtriq/lab/namespaces";
import { combine, type Probe, probe } from "@flowtriq/lab/probe";
import { bearableLoss, type ProcessorTimes, processorTimes } from "@flowtriq/lab/stolen";
import { startWireguard, type Wireguard } from "@flowtriq/lab/wireguard";
import { TRICKLE_PPS } from "@flowtriq/mitigation/mitigations";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AGENT,
  agentCommand,
  MINIMAL,
  makeHome,
  othersRules,
  type RunningAgent,
  startAgent,
  tableStands,
} from "./agent.ts";

const isRoot = process.getuid?.() === 0;
/** Strangers' first handshakes and connection requests that pass in a second: docs/agent.md. */
const ADMITTED_PPS = 200;
/** Quiet time and lease as short as the policy allows: tests wait for both. */
const QUICK = { ...MINIMAL, policy: { quietSeconds: 5, leaseSeconds: 15 } };

// Network namespaces, tunnels and rules are root's.
describe.skipIf(!isRoot)("on a WireGuard concentrator with two clients", () => {
  let lab: Topology;
  let wireguard: Wireguard;
  let agent: RunningAgent | undefined;
  let probes: Probe[] = [];
  let times: ProcessorTimes;

  beforeAll(async () => {
    lab = await createTopology({ clients: 2 });
    wireguard = await startWireguard(lab, { clients: [4, 6] });
  });
  afterAll(async () => {
    await lab?.destroy();
  });
  afterEach(async () => {
    await Promise.all(probes.map((one) => one.stop()));
    probes = [];
    await agent?.end("SIGKILL");
    agent = undefined;
    await run(lab.concentrator.namespace, ["nft", "destroy", "table", "inet", "ftagent"]).catch(() =>
      agentCommand(lab, "withdraw", "--all"),
    );
  });

  const startProbes = async () => {
    times = processorTimes();
    probes = wireguard.clients.map((client) =>
      probe({ namespace: client.host.namespace, target: wireguard.address[4], intervalMs: 50 }),
    );
    await Promise.all(probes.map((one) => one.answered));
  };
  const stopProbes = async () => {
    const results = await Promise.all(probes.map((one) => one.stop()));
    probes = [];
    return combine(results);
  };

  test.each(FAMILIES)("random UDP over IPv%i is dropped, and nothing else is", async (family) => {
    agent = await startAgent(lab, QUICK);
    await startProbes();
    const meter = await startMeter(lab);
    const attack = await flood(lab, { attack: "udp_random", pps: 100_000, seconds: 4, family, port: 51820 });
    const started = await agent.waitFor("attack.started");
    const applied = await agent.waitFor("mitigation.applied");
    expect(started).toMatchObject({ port: 51820, transport: "udp", lane: "udp:51820:malformed", tunnelsBefore: 2 });
    expect(applied).toMatchObject({ attack: started.attack, dryRun: false, mode: "enforce" });
    const classified = await agent.waitFor("attack.classified");
    expect(classified.vector).toBe("udp_flood");
    await attack.result;
    const ended = await agent.waitFor("attack.ended", undefined, 20_000);
    const { arrived, passed } = await meter.read();
    await meter.stop();
    // What came before the rules is all that came.
    expect(passed.packets / arrived.packets).toBeLessThan(0.03);
    expect(ended).toMatchObject({
      attack: started.attack,
      usersDisconnected: 0,
      packets: expect.closeTo(arrived.packets, -4),
    });
    const tunnels = await stopProbes();
    expect(tunnels.lost).toBeLessThanOrEqual(bearableLoss(tunnels.sent, times));
    expect(tunnels.sent).toBeGreaterThan(100);
    await agent.waitFor("capture.written");
    expect(agent.events().map(({ event }) => event)).toEqual([
      "agent.ready",
      "attack.started",
      "mitigation.applied",
      "attack.classified",
      "mitigation.removed",
      "attack.ended",
      "capture.written",
    ]);
  });

  test("data of the right shape with random indices is dropped while a client roams and keeps its tunnel", async () => {
    agent = await startAgent(lab, QUICK);
    await startProbes();
    const meter = await startMeter(lab);
    const attack = await flood(lab, { attack: "wireguard_data", pps: 100_000, seconds: 6, port: 51820 });
    const started = await agent.waitFor("attack.started");
    expect(started).toMatchObject({ lane: "udp:51820:unissued", vector: "wireguard_data_flood" });
    await agent.waitFor("mitigation.applied");
    await delay(500);
    const before = await meter.read();
    const applied = Date.now();
    // The client is met again at another address by the index that the server issued, not by where it was.
    await wireguard.clients[0]!.roam({ port: 41999 });
    await attack.result;
    const after = await meter.read();
    await meter.stop();
    expect(after.arrived.packets - before.arrived.packets).toBeGreaterThan(50_000);
    // Only the trickle for sessions that nobody knows: a number a second, whatever the rate of the flood.
    const seconds = (Date.now() - applied) / 1000;
    expect(after.passed.packets - before.passed.packets).toBeLessThanOrEqual(TRICKLE_PPS * (seconds + 1));
    const tunnels = await stopProbes();
    expect(tunnels.lost).toBeLessThanOrEqual(bearableLoss(tunnels.sent, times));
  });

  test.each([
    ["junk handshakes", "wireguard_initiation", "wireguard_handshake_flood"],
    ["valid handshakes of nobody", "wireguard_initiation_valid_mac1", "wireguard_handshake_flood"],
    ["connection requests with the options of real stacks", "syn_options", "syn_flood"],
  ] as const)(
    "%s are dropped but for those that the mitigation admits, and known peers stay",
    async (_, attack, vector) => {
      agent = await startAgent(lab, QUICK);
      await startProbes();
      const meter = await startMeter(lab);
      const { publicKey: serverPublicKey } = wireguard;
      const running = await flood(lab, { attack, pps: 50_000, seconds: 60, serverPublicKey });
      expect((await agent.waitFor("attack.started")).vector).toBe(vector);
      await agent.waitFor("mitigation.applied");
      const before = await meter.read();
      const from = Date.now();
      let after = before;
      // However long this machine takes for so many.
      while (after.arrived.packets - before.arrived.packets < 100_000) {
        await delay(100);
        after = await meter.read();
      }
      await running.stop();
      after = await meter.read();
      const seconds = (Date.now() - from) / 1000;
      await meter.stop();
      const passed = after.passed.packets - before.passed.packets;
      // So many a second, whatever the rate of the flood.
      expect(passed).toBeLessThanOrEqual(ADMITTED_PPS * (seconds + 1));
      const tunnels = await stopProbes();
      expect(tunnels.lost).toBeLessThanOrEqual(bearableLoss(tunnels.sent, times));
      expect((await agent.waitFor("attack.classified")).vector).toBe(vector);
    },
  );

  test("observe mode drops nothing and counts what it would have dropped", async () => {
    agent = await startAgent(lab, { ...QUICK, mode: "observe" });
    const meter = await startMeter(lab);
    const attack = await flood(lab, { attack: "udp_random", pps: 50_000, seconds: 2, port: 51820 });
    const applied = await agent.waitFor("mitigation.applied");
    const { sent } = await attack.result;
    const { arrived, passed } = await meter.read();
    await meter.stop();
    expect(applied).toMatchObject({ dryRun: true, mode: "observe" });
    expect(passed).toEqual(arrived);
    const removed = await agent.waitFor("mitigation.removed", undefined, 20_000);
    expect(removed.hits[0]!.packets).toBeGreaterThan(sent * 0.9);
  });

  test("a killed agent's rules end with their lease, and a successor before that takes them over without a gap", async () => {
    const home = makeHome();
    agent = await startAgent(lab, QUICK, home);
    const meter = await startMeter(lab);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 40, port: 51820 });
    const started = await agent.waitFor("attack.started");
    await agent.waitFor("mitigation.applied");
    await delay(300);
    await agent.end("SIGKILL");
    const atKill = await meter.read();
    await delay(1_500);
    agent = await startAgent(lab, QUICK, home);
    expect((await agent.waitFor("agent.ready")).adopted).toEqual([started.attack]);
    await delay(1_000);
    const adopted = await meter.read();
    expect(adopted.passed.packets - atKill.passed.packets).toBeLessThan(20);
    await agent.end("SIGKILL");
    // Nobody renews now: within the lease of 15 s the kernel lets everything through again.
    const deadline = Date.now() + 17_000;
    let passing = false;
    while (!passing && Date.now() < deadline) {
      const { passed } = await meter.read();
      await delay(250);
      passing = (await meter.read()).passed.packets - passed.packets > 1_000;
    }
    expect(passing).toBe(true);
    await attack.stop();
    await meter.stop();
  });

  test("an attack whose rules are gone is not taken over, however recently it was open", async () => {
    const home = makeHome();
    agent = await startAgent(lab, QUICK, home);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 3, port: 51820 });
    await agent.waitFor("mitigation.applied");
    await attack.stop();
    await agent.end("SIGKILL");
    await run(lab.concentrator.namespace, ["nft", "delete", "table", "inet", "ftagent"]);
    agent = await startAgent(lab, QUICK, home);
    expect((await agent.waitFor("agent.ready")).adopted).toEqual([]);
  });

  test("stopping in peace leaves nothing in the kernel; stopping under attack leaves the rules for a successor", async () => {
    agent = await startAgent(lab, QUICK);
    expect(await tableStands(lab)).toBe(true);
    expect(await agent.end("SIGTERM")).toBe(0);
    expect(await tableStands(lab)).toBe(false);

    agent = await startAgent(lab, QUICK);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 10, port: 51820 });
    await agent.waitFor("mitigation.applied");
    expect(await agent.end("SIGTERM")).toBe(0);
    expect(agent.events().at(-1)).toMatchObject({ event: "agent.stopped", leftInKernel: true });
    const meter = await startMeter(lab);
    await delay(500);
    const { arrived, passed } = await meter.read();
    expect(arrived.packets).toBeGreaterThan(5_000);
    expect(passed.packets).toBe(0);
    await agentCommand(lab, "withdraw", "--all");
    expect(await tableStands(lab)).toBe(false);
    await attack.stop();
    await meter.stop();
  });

  test("withdraw --all under a running agent removes everything, and the agent does not put it back", async () => {
    agent = await startAgent(lab, QUICK);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 4, port: 51820 });
    await agent.waitFor("mitigation.applied");
    await agentCommand(lab, "withdraw", "--all");
    expect(await tableStands(lab)).toBe(false);
    await agent.waitFor("mitigation.removed", ({ reason }) => reason === "withdrawn");
    await attack.result;
    expect(await tableStands(lab)).toBe(false);
    const { stdout } = await agentCommand(lab, "status", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ standingDown: true });
  });

  test("the operator's rules are byte-identical before, during and after", async () => {
    await run(lab.concentrator.namespace, ["nft", "-f", "-"], {
      input:
        "table inet operator {\n chain input {\n type filter hook input priority 0; policy accept;\n tcp dport 22 accept\n }\n}\n",
    });
    const before = await othersRules(lab);
    agent = await startAgent(lab, QUICK);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 2, port: 51820 });
    await agent.waitFor("mitigation.applied");
    expect(await othersRules(lab)).toBe(before);
    await attack.result;
    await agent.waitFor("attack.ended", undefined, 20_000);
    await agent.end("SIGTERM");
    expect(await othersRules(lab)).toBe(before);
    expect(before).toContain("operator");
    await run(lab.concentrator.namespace, ["nft", "delete", "table", "inet", "operator"]);
  });

  test("a table flushed by another program is loaded again", async () => {
    agent = await startAgent(lab, QUICK);
    await run(lab.concentrator.namespace, ["nft", "flush", "ruleset"]);
    await agent.waitFor("agent.warning", ({ code }) => code === "table_removed");
    expect(await tableStands(lab)).toBe(true);
    // It is read as it was before: what it counts and drops is known, and it is not missed again.
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 2, port: 51820 });
    await attack.result;
    expect((await agent.waitFor("attack.ended", undefined, 20_000)).droppedPackets).toBeGreaterThan(10_000);
    const missed = agent.events().filter((event) => event.event === "agent.warning" && event.code === "table_removed");
    expect(missed).toHaveLength(1);
  });

  test.each([
    ["an unknown interface", { ...MINIMAL, interfaces: ["eth9"] }, /no such interface: eth9[\s\S]*eth0/],
    ["a faulty mode", { ...MINIMAL, mode: "destroy" }, /mode/],
    [
      "a port out of range",
      { ...MINIMAL, ports: [{ port: 70000, transport: "udp", protocol: "wireguard" }] },
      /ports\[0\]\.port/,
    ],
    ["a hostile interface name", { ...MINIMAL, interfaces: ['eth0" ; flush ruleset ; "'] }, /not an interface name/],
    ["an unknown field", { ...MINIMAL, moed: "enforce" }, /moed/],
  ])("%s is refused with words, and nothing is applied", async (_, config, words) => {
    await expect(startAgent(lab, config)).rejects.toThrow(words);
    expect(await tableStands(lab)).toBe(false);
  });

  test("a full disk is said, and the attack is dropped all the same", async () => {
    const disk = makeHome();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    try {
      const config = `${disk}/config.json`;
      fs.writeFileSync(config, JSON.stringify({ ...QUICK, stateDir: `${disk}/state` }));
      expect(() => fs.writeFileSync(`${disk}/filler`, Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
      const child = start(
        lab.concentrator.namespace,
        [AGENT, "run", "--config", config, "--events", `${disk}/events`],
        {
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      let said = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      await expect.poll(() => tableStands(lab), { timeout: 10_000 }).toBe(true);
      await expect.poll(() => said, { timeout: 10_000 }).toMatch(/no space left[\s\S]*Make room/i);
      const meter = await startMeter(lab);
      const { sent } = await (await flood(lab, { attack: "udp_random", pps: 50_000, seconds: 2, port: 51820 })).result;
      const { passed } = await meter.read();
      await meter.stop();
      expect(passed.packets / sent).toBeLessThan(0.05);
      child.kill("SIGTERM");
      await once(child, "exit");
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });

  test("a second agent on the same host is refused, and the first goes on", async () => {
    agent = await startAgent(lab, QUICK);
    await expect(startAgent(lab, QUICK)).rejects.toThrow(/NFLOG group/);
    expect(await tableStands(lab)).toBe(true);
  });

  test("without the right to change rules it says what is needed", async () => {
    const home = makeHome();
    fs.chmodSync(home, 0o777);
    const config = `${home}/config.json`;
    fs.writeFileSync(config, JSON.stringify({ ...MINIMAL, stateDir: `${home}/state` }));
    const unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    await expect(run(lab.concentrator.namespace, [...unprivileged, AGENT, "run", "--config", config])).rejects.toThrow(
      /CAP_NET_ADMIN/,
    );
  });
});
