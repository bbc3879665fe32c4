import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { startAgentService } from "@flowtriq/fakes/service";
import { flood } from "@flowtriq/lab/flood";
import { Link } from "@flowtriq/lab/link";
import { createTopology, run, start, type Topology } from "@flowtriq/lab/namespaces";
import { startWireguard } from "@flowtriq/lab/wireguard";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  AGENT,
  agentAnswer,
  agentCommand,
  MINIMAL,
  makeHome,
  type RunningAgent,
  startAgent,
  TABLE,
  tableStands,
} from "./agent.ts";

const isRoot = process.getuid?.() === 0;
const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;
/** Neither every kernel nor every host has them. */
const hasLegacyTables = spawnSync("unshare", ["--net", "iptables-legacy", "-L"]).status === 0;
const QUICK = { ...MINIMAL, policy: { quietSeconds: 5, leaseSeconds: 15 } };
const METRICS_PORT = 19_817;

const longest = (text: string) => Math.max(...text.split("\n").map((line) => line.length));
const configFile = (config: object): string => {
  const home = makeHome();
  fs.writeFileSync(`${home}/config.json`, JSON.stringify({ stateDir: `${home}/state`, ...config }));
  return `${home}/config.json`;
};

// Namespaces and rules are root's.
describe.skipIf(!isRoot)("the commands of an operator", () => {
  let lab: Topology;
  let agent: RunningAgent | undefined;

  beforeAll(async () => {
    lab = await createTopology({ clients: 1, management: true });
    await startWireguard(lab);
  });
  afterEach(async () => {
    await agent?.end("SIGKILL");
    agent = undefined;
    await agentAnswer(lab, "withdraw", "--all");
  });
  afterAll(async () => {
    await lab?.destroy();
  });

  const json = async (...argv: string[]) => JSON.parse((await agentAnswer(lab, ...argv, "--json")).stdout);
  const fetchMetrics = async (host: string) => {
    const script = `fetch("http://${host}:${METRICS_PORT}/metrics").then(async (r) => console.log(r.status + "\\n" + (await r.text())))`;
    const { stdout } = await run(lab.concentrator.namespace, [process.execPath, "-e", script]);
    return { status: stdout.slice(0, 3), text: stdout.slice(4, -1) };
  };

  test.each([
    [["destroy"], 2, /there is no command destroy[\s\S]*--help/],
    [["status", "--all"], 2, /status has no option --all[\s\S]*status --help/],
    [["status", "--nonsense"], 2, /--nonsense/],
    [["withdraw"], 2, /name an attack, or give --all/],
    [["withdraw", "atk_0123456789", "--all"], 2, /name an attack, or give --all/],
    [["replay"], 2, /replay needs FILE/],
    [["config", "check", "/nowhere"], 2, /cannot read \/nowhere/],
    [["enroll", "--url", "https://s.example"], 2, /enroll needs --token/],
    [["enroll", "--url", "file:///etc", "--token", "tok_0123456789abcdef"], 2, /cannot enrol with this/],
    [["status"], 1, /no agent runs here[\s\S]*Start it with/],
  ])("%j is answered with %i and a remedy, in words and in JSON", async (argv, code, words) => {
    const answer = await agentAnswer(lab, ...argv);
    expect([answer.code, answer.stdout]).toEqual([code, ""]);
    expect(answer.stderr).toMatch(words);
    const asJson = await agentAnswer(lab, ...argv, "--json");
    expect(asJson.code).toBe(code);
    expect(JSON.parse(asJson.stderr)).toEqual({ error: expect.any(String), remedy: expect.any(String) });
  });

  test("status and rules tell the same of an attack, in words no wider than 80 columns", async () => {
    agent = await startAgent(lab, QUICK);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
    const { attack: id } = await agent.waitFor("attack.classified");
    const status = await json("status");
    expect(status).toMatchObject({
      mode: "enforce",
      service: null,
      spoolEvents: null,
      armed: ["udp:51820:malformed", "udp:51820:unissued", "udp:51820:control"],
    });
    const { lanes } = await json("rules");
    const armed = lanes.find(({ lane }: { lane: string }) => lane === "udp:51820:malformed");
    expect(armed).toMatchObject({ state: "armed", words: expect.stringContaining("no WireGuard message on 51820") });
    expect(armed.leaseSeconds).toBeGreaterThan(0);
    expect(armed.leaseSeconds).toBeLessThanOrEqual(15);
    expect(armed.dropped).toBeGreaterThan(0);
    const [said, told] = [await agentAnswer(lab, "status"), await agentAnswer(lab, "rules")];
    expect(said.stdout).toMatch(
      new RegExp(`Under attack[\\s\\S]*${id}[\\s\\S]*udp_flood on udp:51820[\\s\\S]*armed for`),
    );
    expect(told.stdout).toMatch(/^udp:51820:malformed +armed/m);
    for (const { stdout } of [said, told]) {
      expect(longest(stdout)).toBeLessThanOrEqual(80);
      expect(stdout).not.toContain("\x1b");
    }
    expect((await agentAnswer(lab, "rules", "--nft")).stdout).toMatch(new RegExp(`^table inet ${TABLE} \\{`));
    // Whoever looks after a crash still sees what the kernel does.
    await agent.end("SIGKILL");
    const left = (await json("rules")).lanes.find(({ lane }: { lane: string }) => lane === "udp:51820:malformed");
    expect(left.state).toBe("armed");
    await attack.stop();
  });

  test("withdrawing one attack is for as long as it lasts, a restart of the agent included", async () => {
    const home = makeHome();
    agent = await startAgent(lab, QUICK, home);
    const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
    const { attack: id } = await agent.waitFor("mitigation.applied");
    expect((await agentAnswer(lab, "withdraw", id)).code).toBe(0);
    expect((await agentAnswer(lab, "withdraw", id)).code).toBe(1);
    await agent.end("SIGKILL");
    agent = await startAgent(lab, QUICK, home);
    expect((await agent.waitFor("agent.ready")).adopted).toEqual([id]);
    expect((await json("status")).armed).toEqual([]);
    await attack.stop();
    await agent.waitFor("attack.ended", ({ attack: ended }) => ended === id, 30_000);
  });

  test("a plan is what a configuration would load, and loads nothing", async () => {
    const file = configFile({ ...QUICK, policy: { thresholdsPps: { "udp:51820:malformed": 777 } } });
    const plan = await json("rules", "--plan", file);
    expect(plan).toMatchObject({ mode: "enforce", hook: "ingress", interfaces: ["eth0"], check: "nft accepts it" });
    expect(plan.lanes[4]).toMatchObject({ lane: "udp:51820:malformed", thresholdPps: 777, firstAid: true });
    const { stdout } = await agentAnswer(lab, "rules", "--config", file, "--nft");
    await run(lab.concentrator.namespace, ["nft", "-c", "-f", "-"], { input: stdout });
    expect(longest((await agentAnswer(lab, "rules", "--plan", file)).stdout)).toBeLessThanOrEqual(80);
    expect(await tableStands(lab)).toBe(false);
    const foreign = await json("rules", "--plan", configFile({ ...QUICK, interfaces: ["eth7"] }));
    expect(foreign.interfaces).toEqual(["eth7"]);
  });

  test("doctor finds this host fit, and ends with 1 where it is not", async () => {
    const healthy = await json("doctor", "--config", configFile(QUICK));
    const byName = (checks: { check: string; level: string }[]) => new Map(checks.map((one) => [one.check, one]));
    expect(healthy.ok).toBe(true);
    expect(byName(healthy.checks).get("kernel")).toMatchObject({
      level: "ok",
      finding: expect.stringContaining("ingress"),
    });
    expect(byName(healthy.checks).get("mac1 keys")).toMatchObject({ level: "ok" });
    expect(byName(healthy.checks).get("VPN daemons")).toMatchObject({
      level: "ok",
      finding: expect.stringContaining("tunnels up: 1"),
    });

    agent = await startAgent(lab, QUICK);
    const other = configFile({ ...QUICK, interfaces: ["eth9"] });
    const { code, stdout } = await agentAnswer(lab, "doctor", "--config", other);
    expect(code).toBe(1);
    expect(stdout).toMatch(/PROBLEM {2}interfaces +no such interface: eth9/);
    expect(stdout).toMatch(/ok +agent +\S+ runs, mode enforce/);
    expect(longest(stdout)).toBeLessThanOrEqual(80);
  });

  test("doctor without root says what it could not see, and fails for nothing else", async () => {
    const file = configFile(QUICK);
    fs.chmodSync(file.replace("/config.json", ""), 0o755);
    const unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", AGENT];
    const { stdout } = await run(lab.concentrator.namespace, [...unprivileged, "doctor", "--config", file, "--json"]);
    const { ok, checks } = JSON.parse(stdout) as {
      ok: boolean;
      checks: { check: string; level: string; remedy?: string }[];
    };
    expect(ok).toBe(true);
    const unseen = checks.filter(({ level }) => level === "unseen");
    expect(unseen.map(({ check }) => check)).toEqual(
      expect.arrayContaining(["capabilities", "kernel", "samples", "firewalls"]),
    );
    for (const { remedy } of checks.filter(({ level }) => level !== "ok")) expect(remedy).toBeTruthy();
  });

  test.skipIf(!hasLegacyTables)("doctor names rules of iptables-legacy, which nft does not show", async () => {
    const { namespace } = lab.attacker;
    await run(namespace, ["iptables-legacy", "-A", "INPUT", "-j", "ACCEPT"]);
    const { stdout } = await run(namespace, [AGENT, "doctor", "--config", configFile(QUICK), "--json"]);
    expect(stdout).toContain("iptables-legacy holds rules (filter)");
  });

  describe("the self-test", () => {
    /** What the self-test has running, told by its folder. */
    const insiders = (folder: string) =>
      fs.readdirSync("/proc").filter((pid) => {
        try {
          return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/self-test-`);
        } catch {
          return false;
        }
      });
    const selfTest = (folder: string) => ["env", `TMPDIR=${folder}`, AGENT, "test", "--json"];

    test("passes in a namespace of its own, and leaves nothing anywhere", async () => {
      const folder = makeHome();
      const trial = JSON.parse((await run(lab.concentrator.namespace, selfTest(folder))).stdout);
      expect(trial).toMatchObject({ passed: true, method: "namespace", vector: "udp_flood", junk: { sent: 20_000 } });
      expect(trial.genuine).toEqual({ sent: 400, passed: 400 });
      expect(trial.junk.passed).toBeLessThan(10_000);
      expect(await tableStands(lab)).toBe(false);
      expect([insiders(folder), fs.readdirSync(folder)]).toEqual([[], []]);
    });

    test("leaves nothing when it is killed in the middle either", async () => {
      const folder = makeHome();
      const child = start(lab.concentrator.namespace, selfTest(folder), { stdio: "ignore" });
      await expect.poll(() => insiders(folder).length, { timeout: 20_000 }).toBeGreaterThan(0);
      child.kill("SIGKILL");
      await expect.poll(() => insiders(folder), { timeout: 20_000 }).toEqual([]);
      await expect.poll(() => fs.readdirSync(folder), { timeout: 20_000 }).toEqual([]);
      expect(await tableStands(lab)).toBe(false);
    });
  });

  test("where no namespace can be made the self-test says so, and tries the detector", async () => {
    const script = `echo 0 > /proc/sys/user/max_net_namespaces && exec ${AGENT} test --json`;
    const { stdout } = await run(lab.concentrator.namespace, [
      "unshare",
      "--user",
      "--map-root-user",
      "sh",
      "-c",
      script,
    ]);
    const trial = JSON.parse(stdout);
    expect(trial).toMatchObject({ passed: true, method: "replay", whyNoNamespace: expect.stringContaining("unshare") });
    expect(trial.genuine.passed).toBe(trial.genuine.sent);
  });

  test("enrolling keeps this node's key, and the next start reports there without a word in the configuration", async () => {
    const service = await startAgentService({ mode: "enforce" });
    const link = await Link.open(service.url, lab.management!.host);
    try {
      service.tokens.add("tok_0123456789abcdef");
      const home = makeHome();
      const file = `${home}/config.json`;
      fs.writeFileSync(file, JSON.stringify({ ...MINIMAL, stateDir: `${home}/state` }));
      const enrol = ["enroll", "--url", link.url, "--token", "tok_0123456789abcdef", "--config", file];
      expect(JSON.parse((await agentCommand(lab, ...enrol, "--json")).stdout)).toMatchObject({
        nodeId: "node_test",
        revision: 1,
      });
      expect(fs.statSync(`${home}/state/node.json`).mode & 0o777).toBe(0o600);
      // The token worked once.
      expect(await agentAnswer(lab, ...enrol)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("refused the token"),
      });
      agent = await startAgent(lab, MINIMAL, home);
      await expect.poll(() => service.events.map(({ event }) => event), { timeout: 15_000 }).toContain("agent.ready");
      await expect.poll(async () => (await json("status")).service?.connected, { timeout: 15_000 }).toBe(true);
      expect((await agentAnswer(lab, "status")).stdout).toContain(`connected to ${link.url}`);
      expect(service.refusals).toEqual(["401 unknown token"]);
    } finally {
      await link.cut();
      await service.stop();
    }
  });

  test("SIGHUP opens the events file anew, takes an edited policy, and keeps the old one when the new is faulty", async () => {
    agent = await startAgent(lab, { ...QUICK, mode: "observe" });
    const edit = (config: object) =>
      fs.writeFileSync(agent!.configFile, JSON.stringify({ stateDir: agent!.stateDir, ...config }));
    fs.renameSync(agent.eventsFile, `${agent.eventsFile}.1`);
    edit({ ...QUICK, samplesPerSecond: 300 });
    agent.signal("SIGHUP");
    // The file of before was moved away: this is a new one.
    expect(await agent.waitFor("policy.applied")).toMatchObject({ mode: "enforce", revision: 0 });
    const { message } = await agent.waitFor("agent.warning", ({ code }) => code === "restart_needed");
    expect(message).toContain("samplesPerSecond");
    expect((await json("status")).mode).toBe("enforce");

    edit({ ...QUICK, mode: "destroy" });
    agent.signal("SIGHUP");
    await agent.waitFor("agent.warning", ({ code }) => code === "config_refused");
    expect((await json("status")).mode).toBe("enforce");
    expect(await agent.end("SIGTERM")).toBe(0);
  });

  describe("metrics", () => {
    const config = { ...QUICK, metrics: { port: METRICS_PORT } };

    test("count an attack, for this host only, and promtool has nothing to say", async () => {
      agent = await startAgent(lab, config);
      const attack = await flood(lab, { attack: "udp_random", pps: 20_000, seconds: 60, port: 51820 });
      await agent.waitFor("attack.classified");
      await attack.stop();
      await agent.waitFor("attack.ended", undefined, 30_000);
      const { status, text } = await fetchMetrics("127.0.0.1");
      expect(status).toBe("200");
      const value = (series: string) =>
        Number(
          text
            .split("\n")
            .find((line) => line.startsWith(`${TABLE}_${series} `))
            ?.split(" ")
            .at(-1),
        );
      expect(value('lane_packets_total{lane="udp:51820:malformed"}')).toBeGreaterThan(1_000);
      expect(value('lane_dropped_packets_total{lane="udp:51820:malformed"}')).toBeGreaterThan(0);
      expect(value("mitigation_latency_seconds_count")).toBe(1);
      expect(value('attacks_ended_total{vector="udp_flood"}')).toBe(1);
      expect(value("attacks_open")).toBe(0);
      expect(value("samples_total")).toBeGreaterThan(12);
      expect(value("tunnels")).toBe(1);
      if (hasPromtool) {
        const { stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
        expect([stdout, stderr]).toEqual(["", ""]);
      }
      await expect(fetchMetrics(lab.concentrator.address[4])).rejects.toThrow();
    });

    test("that cannot be served are told, and the host is protected all the same", async () => {
      const blocker = `require("net").createServer().listen(${METRICS_PORT}, "127.0.0.1", () => console.log("held"))`;
      const held = spawnHolder(lab.concentrator.namespace, blocker);
      try {
        await held.ready;
        agent = await startAgent(lab, config);
        const { message } = await agent.waitFor("agent.warning", ({ code }) => code === "metrics_unavailable");
        expect(message).toMatch(/EADDRINUSE|in use/);
        expect((await json("status")).mode).toBe("enforce");
      } finally {
        held.end();
      }
    });
  });
});

function spawnHolder(namespace: string, script: string): { ready: Promise<void>; end: () => void } {
  const child = start(namespace, [process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  return {
    ready: new Promise((resolve) => child.stdout!.once("data", () => resolve())),
    end: () => void child.kill("SIGKILL"),
  };
}
