import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { createTopology, ip, run, type Topology } from "@flowtriq/lab/namespaces";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  agentAnswer,
  agentCommand,
  MINIMAL,
  makeHome,
  ourRules,
  type RunningAgent,
  startAgent,
  TABLE,
} from "./agent.ts";

const isRoot = process.getuid?.() === 0;
const QUICK = { ...MINIMAL, policy: { quietSeconds: 5, leaseSeconds: 15 } };
/** A busy machine may take this long for what takes it a second. */
const REPAIRED_WITHIN_MS = 15_000;
const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("whatever is done to it, the protection comes back by itself", () => {
  let lab: Topology;
  let agent: RunningAgent | undefined;

  beforeEach(async () => {
    lab = await createTopology({ clients: 0 });
  });
  afterEach(async () => {
    await agent?.end("SIGKILL");
    agent = undefined;
    await lab?.destroy();
  });

  const nft = (script: string) => run(lab.concentrator.namespace, ["nft", "-f", "-"], { input: `${script}\n` });
  const warnings = (code: string) =>
    agent!.events().filter((event) => event.event === "agent.warning" && event.code === code).length;
  const droppedPackets = async () => {
    const { stdout } = await agentCommand(lab, "status", "--json");
    const { rules } = JSON.parse(stdout) as { rules: { dropped: number }[] };
    return rules.reduce((sum, { dropped }) => sum + dropped, 0);
  };
  /** Floods until so many packets more are dropped. */
  const floodAndDrop = async (packets: number) => {
    const before = await droppedPackets();
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
    await expect.poll(async () => (await droppedPackets()) - before, { timeout: 30_000 }).toBeGreaterThan(packets);
    await attack.stop();
  };

  const firstHandle = async (chain: string) => {
    const { stdout } = await run(lab.concentrator.namespace, ["nft", "-a", "list", "chain", "inet", TABLE, chain]);
    return /(?<!chain \S+ \{ )# handle (\d+)$/m.exec(stdout.split("\n").slice(2).join("\n"))![1]!;
  };

  test.each([
    ["all rules flushed", async () => `flush table inet ${TABLE}`],
    ["a chain deleted", async () => `flush chain inet ${TABLE} observe\ndelete chain inet ${TABLE} observe`],
    ["one rule deleted", async () => `delete rule inet ${TABLE} l_host_udp handle ${await firstHandle("l_host_udp")}`],
    ["a rule put in front", async () => `insert rule inet ${TABLE} observe accept`],
    ["the entry chain's policy set to drop", async () => `chain inet ${TABLE} observe { policy drop; }`],
    ["the table put to sleep", async () => `add table inet ${TABLE} { flags dormant; }`],
  ])("%s: noticed, told once, and repaired", async (_, damage) => {
    agent = await startAgent(lab, QUICK);
    const before = await ourRules(lab);
    await nft(await damage());
    expect(await ourRules(lab)).not.toBe(before);
    await agent.waitFor("agent.warning", ({ code }) => code === "rules_changed", REPAIRED_WITHIN_MS);
    expect(await ourRules(lab)).toBe(before);
    await floodAndDrop(10_000);
    // What was repaired is not found damaged again by the looks that came since.
    expect(warnings("rules_changed")).toBe(1);
  });

  test("rules flushed in the middle of an attack are back, and its leases were never gone", async () => {
    agent = await startAgent(lab, QUICK);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
    const { attack: id } = await agent.waitFor("mitigation.applied");
    await nft(`flush table inet ${TABLE}`);
    const { stdout } = await run(lab.concentrator.namespace, [
      "nft",
      "list",
      "map",
      "inet",
      TABLE,
      "v_udp_51820_malformed",
    ]);
    expect(stdout).toContain("expires");
    await agent.waitFor("agent.warning", ({ code }) => code === "rules_changed", REPAIRED_WITHIN_MS);
    const before = await droppedPackets();
    await expect.poll(droppedPackets, { timeout: 30_000 }).toBeGreaterThan(before + 5_000);
    await attack.stop();
    await agent.waitFor("attack.ended", ({ attack: ended }) => ended === id, 30_000);
    expect(agent.events().filter(({ event }) => event === "attack.started")).toHaveLength(1);
  });

  test("a processor that others have taken does not hold it up: all its threads go before theirs", async () => {
    agent = await startAgent(lab, QUICK);
    const tasks = `/proc/${agent.pid}/task`;
    // Field 19 of proc(5)'s stat, behind a name that may hold anything.
    const niceness = (task: string) =>
      Number(/.*\) (?:\S+ ){16}(\S+)/.exec(fs.readFileSync(`${tasks}/${task}/stat`, "utf8"))![1]);
    expect([...new Set(fs.readdirSync(tasks).map(niceness))]).toEqual([-15]);
  });

  test("an interface that goes down and up again is still watched", async () => {
    agent = await startAgent(lab, QUICK);
    await ip(["link set eth0 down", "link set eth0 up"], lab.concentrator.namespace);
    await floodAndDrop(10_000);
  });

  test("an interface that is removed and made anew is watched again", async () => {
    agent = await startAgent(lab, QUICK);
    await ip(["link del eth0"], lab.concentrator.namespace);
    await agent.waitFor("agent.warning", ({ code }) => code === "interface_changed", REPAIRED_WITHIN_MS);
    const { concentrator } = lab;
    await ip(
      [
        `link add p-srv type veth peer name eth0 address ${concentrator.mac} netns ${concentrator.namespace}`,
        "link set p-srv master br0",
        "link set p-srv up",
      ],
      lab.internet,
    );
    await ip([`addr add ${concentrator.address[4]}/24 dev eth0`, "link set eth0 up"], concentrator.namespace);
    await expect.poll(() => warnings("interface_changed"), { timeout: REPAIRED_WITHIN_MS }).toBe(2);
    await floodAndDrop(10_000);
    await agent.waitFor("attack.started", ({ lane }) => lane === "udp:51820:malformed");
  });

  test("with one of two interfaces gone the other stays protected", async () => {
    await ip(["link add spare0 type veth peer name spare1", "link set spare0 up"], lab.concentrator.namespace);
    agent = await startAgent(lab, { ...QUICK, interfaces: ["eth0", "spare0"] });
    await ip(["link del spare0"], lab.concentrator.namespace);
    await agent.waitFor("agent.warning", ({ code }) => code === "interface_changed", REPAIRED_WITHIN_MS);
    expect(await ourRules(lab)).toMatch(/hook ingress device(s = \{ eth0 \}| "eth0") /);
    await floodAndDrop(10_000);
  });

  test.skipIf(!fs.existsSync(FAKETIME))(
    "a clock set back an hour ends neither the attack's lease nor the next one's detection",
    async () => {
      const home = makeHome();
      const clock = `${home}/clock`;
      fs.writeFileSync(clock, "+0");
      // Only this agent's wall clock; the monotonic one cannot be set on a real machine either.
      const env = {
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
        DONT_FAKE_MONOTONIC: "1",
      };
      agent = await startAgent(lab, QUICK, home, { env });
      const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
      await agent.waitFor("mitigation.applied");
      fs.writeFileSync(clock, "-1h");
      // Longer than a lease that nobody renews.
      await delay(20_000);
      const { stdout } = await run(lab.concentrator.namespace, [
        "nft",
        "list",
        "map",
        "inet",
        TABLE,
        "v_udp_51820_malformed",
      ]);
      expect(stdout).toContain("expires");
      await attack.stop();
      const ended = await agent.waitFor("attack.ended", undefined, 30_000);
      expect(Date.parse(ended.at)).toBeGreaterThan(Date.parse(ended.startedAt));
      // In peace the agent's time is that of its machine again.
      const hourAgo = Date.now() - 1_800_000;
      agent.signal("SIGHUP");
      await expect
        .poll(
          () => agent!.events().some((event) => event.event === "policy.applied" && Date.parse(event.at) < hourAgo),
          { timeout: 10_000 },
        )
        .toBe(true);
      const before = new Set(agent.events().map(({ id }) => id));
      const again = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
      const second = await agent.waitFor("attack.started", ({ id }) => !before.has(id), 30_000);
      await again.stop();
      expect(Date.parse(second.at)).toBeLessThan(hourAgo);
    },
  );

  test("on a disk that is full and has room again every event of the file is whole", async () => {
    const disk = makeHome();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", disk]);
    try {
      agent = await startAgent(lab, QUICK, makeHome(), { eventsFile: `${disk}/events` });
      expect(() => fs.writeFileSync(`${disk}/filler`, Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
      await floodAndDrop(10_000);
      const { stdout } = await agentCommand(lab, "status", "--json");
      expect(JSON.parse(stdout).attacks).toHaveLength(1);
      fs.rmSync(`${disk}/filler`);
      // The helper parses every line; the attack's end comes after what was cut off.
      await agent.waitFor("attack.ended", undefined, 30_000);
    } finally {
      await agent?.end("SIGKILL");
      execFileSync("umount", ["-l", disk]);
    }
  });

  test("it starts on a full disk, spool and all", async () => {
    const home = makeHome();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", home]);
    try {
      fs.mkdirSync(`${home}/state`);
      fs.writeFileSync(`${home}/config.json`, "x".repeat(4096));
      expect(() => fs.writeFileSync(`${home}/filler`, Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
      const service = { url: "http://127.0.0.1:9", token: "tok_0123456789abcdef" };
      agent = await startAgent(lab, { ...QUICK, service }, home, { eventsFile: `${makeHome()}/events` });
      await floodAndDrop(10_000);
      const { code } = await agentAnswer(lab, "status", "--json");
      expect(code).toBe(0);
    } finally {
      await agent?.end("SIGKILL");
      execFileSync("umount", ["-l", home]);
    }
  });
});
