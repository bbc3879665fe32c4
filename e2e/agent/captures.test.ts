import { execFile } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { flood } from "@flowtriq/lab/flood";
import { createTopology, run, start, type Topology } from "@flowtriq/lab/namespaces";
import { type Probe, probe } from "@flowtriq/lab/probe";
import { startWireguard, type Wireguard } from "@flowtriq/lab/wireguard";
import type { AgentEventOf } from "@flowtriq/protocol/event";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { agentCommand, MINIMAL, makeHome, type RunningAgent, startAgent, TABLE } from "./agent.ts";

const isRoot = process.getuid?.() === 0;
const QUICK = { ...MINIMAL, policy: { quietSeconds: 5, leaseSeconds: 15 } };
const FLOOD = { attack: "udp_random", pps: 20_000, port: 51820 } as const;
/** So long must a capture reach back (and the tunnels are heard before). */
const BEFORE_SECONDS = 10;
const HEARD_SECONDS = 14;
/** IPv4 and UDP, and the header of a WireGuard message. */
const KEPT_BYTES = 20 + 8 + 16;
/** A ping of 56 bytes in a tunnel over IPv4: padded to 96, and 60 around it. A keepalive is the 60 alone. */
const [PING_BYTES, KEEPALIVE_BYTES] = [156, 60];

const exec = promisify(execFile);
/** Fields of the packets that a display filter takes, as Wireshark reads them. Throws when it finds fault with the file. */
async function tshark(file: string, filter: string, fields: string[]): Promise<string[][]> {
  const wanted = fields.flatMap((field) => ["-e", field]);
  const { stdout, stderr } = await exec("tshark", ["-n", "-r", file, "-Y", filter, "-T", "fields", ...wanted]);
  const said = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Running as user"));
  if (said.length > 0) throw new Error(said.join("\n"));
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t"));
}

// Network namespaces, tunnels and rules are root's.
describe.skipIf(!isRoot)("a capture", () => {
  let lab: Topology;
  let wireguard: Wireguard;
  let agent: RunningAgent | undefined;
  let probes: Probe[] = [];

  beforeAll(async () => {
    lab = await createTopology({ clients: 2 });
    wireguard = await startWireguard(lab);
    probes = wireguard.clients.map((client) =>
      probe({ namespace: client.host.namespace, target: wireguard.address[4], intervalMs: 200 }),
    );
    await Promise.all(probes.map(({ answered }) => answered));
  });
  afterAll(async () => {
    await Promise.all(probes.map((one) => one.stop()));
    await lab?.destroy();
  });
  afterEach(async () => {
    await agent?.end("SIGKILL");
    agent = undefined;
    await run(lab.concentrator.namespace, ["nft", "destroy", "table", "inet", TABLE]).catch(() =>
      agentCommand(lab, "withdraw", "--all"),
    );
  });

  const folder = ({ stateDir }: RunningAgent) => path.join(stateDir, "captures");
  const fileOf = (one: RunningAgent, { file }: AgentEventOf<"capture.written">) => path.join(folder(one), file);
  /** Waits until the growing file of an attack holds packets. */
  const growing = (one: RunningAgent, attack: string) =>
    expect
      .poll(() => fs.statSync(path.join(folder(one), `${attack}.pcap.part`), { throwIfNoEntry: false })?.size ?? 0, {
        timeout: 20_000,
      })
      .toBeGreaterThan(1_000);

  test("begins ten seconds before the attack with the tunnels' packets, holds the attack, and Wireshark reads it", async () => {
    agent = await startAgent(lab, QUICK);
    await delay(HEARD_SECONDS * 1000);
    const attack = await flood(lab, { ...FLOOD, seconds: 3 });
    await attack.result;
    const ended = await agent.waitFor("attack.ended", undefined, 30_000);
    const written = await agent.waitFor("capture.written");
    const file = fileOf(agent, written);
    expect(written).toMatchObject({ attack: ended.attack, complete: true, bytes: fs.statSync(file).size });
    expect(written.secondsBefore).toBeGreaterThanOrEqual(BEFORE_SECONDS);
    // Who was connected, one by one, and what the server did for them.
    expect(ended).toMatchObject({ usersDisconnected: 0, sessions: { live: 2, inUse: 2, lost: 0, returned: 0 } });
    expect([typeof ended.handshakesBefore, typeof ended.handshakesDuring]).toEqual(["number", "number"]);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);

    const all = await tshark(file, "ip or ipv6", ["frame.time_epoch", "frame.len", "frame.cap_len"]);
    expect(all).toHaveLength(written.packets);
    const clients = wireguard.clients.map(({ host }) => `ip.src == ${host.address[4]}`).join(" or ");
    const tunnels = `wg and (${clients})`;
    const from = attack.firstPacketAt / 1000;
    const early = `${tunnels} and frame.time_epoch <= ${from - BEFORE_SECONDS}`;
    expect((await tshark(file, early, ["frame.number"])).length).toBeGreaterThan(0);
    const during = `${tunnels} and frame.time_epoch > ${from + 1} and frame.time_epoch < ${from + 3}`;
    expect((await tshark(file, during, ["frame.number"])).length).toBeGreaterThan(0);
    // Every tunnel's packet has the length that it had on the wire, and only its headers are kept.
    const data = await tshark(file, `${tunnels} and wg.type == 4`, ["frame.len", "frame.cap_len"]);
    for (const [length, kept] of data) {
      expect([PING_BYTES, KEEPALIVE_BYTES]).toContain(Number(length));
      expect(Number(kept)).toBe(KEPT_BYTES);
    }
    const strangers = `ip and udp.dstport == 51820 and not (${clients})`;
    const flooded = await tshark(file, strangers, ["frame.time_epoch", "frame.len"]);
    expect(flooded.length).toBeGreaterThan(48);
    // None is thought to have come before the flood began.
    expect(Math.min(...flooded.map(([at]) => Number(at)))).toBeGreaterThan(from - 0.01);

    const { stdout } = await exec("capinfos", ["-M", "-E", "-c", "-o", file]);
    expect(stdout).toMatch(/encapsulation: *rawip/);
    expect(stdout).toMatch(new RegExp(`Number of packets: *${written.packets}\\b`));
    expect(stdout).toMatch(/Strict time order: *True/);
  });

  test("of one attack too many takes the place of the oldest", async () => {
    agent = await startAgent(lab, { ...QUICK, captures: { maxFiles: 2 } });
    const kept: string[] = [];
    for (let n = 0; n < 3; n++) {
      const seen = new Set(agent.events().map(({ id }) => id));
      await (await flood(lab, { ...FLOOD, seconds: 1 })).result;
      const { file } = await agent.waitFor("capture.written", ({ id }) => !seen.has(id), 40_000);
      kept.push(file);
    }
    expect(fs.readdirSync(folder(agent)).sort()).toEqual(kept.slice(1).sort());
  });

  test("goes on in the same file when a killed agent's successor takes the attack over", async () => {
    const home = makeHome();
    agent = await startAgent(lab, QUICK, home);
    const attack = await flood(lab, { ...FLOOD, seconds: 60 });
    const { attack: id } = await agent.waitFor("attack.started");
    await growing(agent, id);
    await agent.end("SIGKILL");
    const killedAt = Date.now() / 1000;
    agent = await startAgent(lab, QUICK, home);
    expect((await agent.waitFor("agent.ready")).adopted).toEqual([id]);
    await delay(2_000);
    await attack.stop();
    const written = await agent.waitFor("capture.written", undefined, 40_000);
    expect(written).toMatchObject({ attack: id, complete: false });
    expect(fs.readdirSync(folder(agent))).toEqual([written.file]);
    const file = fileOf(agent, written);
    const before = await tshark(file, `frame.time_epoch < ${killedAt}`, ["frame.number"]);
    const after = await tshark(file, `frame.time_epoch >= ${killedAt}`, ["frame.number"]);
    expect(Math.min(before.length, after.length)).toBeGreaterThan(10);
    expect(before.length + after.length).toBe(written.packets);
  });

  test("that a killed agent left is finished by the next one when its attack is over", async () => {
    const home = makeHome();
    agent = await startAgent(lab, QUICK, home);
    const attack = await flood(lab, { ...FLOOD, seconds: 60 });
    const { attack: id } = await agent.waitFor("attack.started");
    await growing(agent, id);
    await agent.end("SIGKILL");
    await attack.stop();
    await run(lab.concentrator.namespace, ["nft", "delete", "table", "inet", TABLE]);
    agent = await startAgent(lab, QUICK, home);
    const written = await agent.waitFor("capture.written");
    expect(written).toMatchObject({ attack: id, complete: false, file: `${id}.pcap` });
    expect(fs.readdirSync(folder(agent))).toEqual([written.file]);
    expect(await tshark(fileOf(agent, written), "ip or ipv6", ["frame.number"])).toHaveLength(written.packets);
  });

  test("is not made where none is wanted, and nothing is recorded", async () => {
    agent = await startAgent(lab, { ...QUICK, captures: { maxFiles: 0 } });
    const { stdout } = await run(lab.concentrator.namespace, ["nft", "list", "chain", "inet", TABLE, "record"]);
    expect(stdout).not.toContain("log");
    await (await flood(lab, { ...FLOOD, seconds: 1 })).result;
    await agent.waitFor("attack.ended", undefined, 30_000);
    expect(fs.existsSync(folder(agent))).toBe(false);
  });

  test("begins with its attack, after a warning, where another program has the group of the recorded traffic", async () => {
    const other = start(lab.concentrator.namespace, ["tcpdump", "-i", "nflog:4818", "-w", "/dev/null"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    other.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    try {
      await expect.poll(() => said, { timeout: 10_000 }).toContain("listening on");
      agent = await startAgent(lab, QUICK);
      await agent.waitFor("agent.warning", ({ code }) => code === "traffic_not_recorded");
      await (await flood(lab, { ...FLOOD, seconds: 1 })).result;
      const written = await agent.waitFor("capture.written", undefined, 30_000);
      expect(written.packets).toBeGreaterThan(12);
    } finally {
      other.kill("SIGTERM");
      await once(other, "close");
    }
  });
});
