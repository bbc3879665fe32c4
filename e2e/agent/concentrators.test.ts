import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, FAMILIES, run, type Topology } from "@flowtriq/lab/namespaces";
import { startOpenvpn } from "@flowtriq/lab/openvpn";
import { combine, type Probe, probe } from "@flowtriq/lab/probe";
import { sniff } from "@flowtriq/lab/sniff";
import { bearableLoss, processorTimes } from "@flowtriq/lab/stolen";
import { startStrongswan } from "@flowtriq/lab/strongswan";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { agentCommand, type RunningAgent, startAgent } from "./agent.ts";

const isRoot = process.getuid?.() === 0;
/** Strangers' first handshakes that pass in a second while a flood of them is mitigated: docs/agent.md. */
const ADMITTED_PPS = 200;
/** No ports: the agent finds them. */
const FOUND_BY_ITSELF = { interfaces: ["eth0"], mode: "enforce", policy: { quietSeconds: 5, leaseSeconds: 15 } };
const CLIENTS = [4, 6, 4] as const;

const CONCENTRATORS = [
  {
    name: "strongSwan",
    begin: (lab: Topology) => startStrongswan(lab, { clients: [...CLIENTS] }),
    ports: [
      { port: 500, transport: "udp", protocol: "ike" },
      { port: 4500, transport: "udp", protocol: "ipsec_nat_t" },
    ],
    attack: "ike_sa_init",
    lane: "udp:500:handshake",
    vector: "ike_handshake_flood",
    data: { port: 4500, vector: "esp_flood", which: (payload: Uint8Array) => payload[0] !== 0 && payload.length > 16 },
  },
  {
    name: "OpenVPN",
    begin: async (lab: Topology) => {
      const openvpn = await startOpenvpn(lab, { clients: [...CLIENTS] });
      // Its first report was written before anybody had logged in.
      await vi.waitUntil(() => openvpn.connected().length === CLIENTS.length, { timeout: 20_000 });
      return openvpn;
    },
    ports: [{ port: 1194, transport: "udp", protocol: "openvpn" }],
    attack: "openvpn_reset",
    lane: "udp:1194:handshake",
    vector: "openvpn_handshake_flood",
    data: { port: 1194, vector: "openvpn_data_flood", which: ([head]: Uint8Array) => head! >> 3 === 9 },
  },
] as const;

// Network namespaces, tunnels and rules are root's.
describe.skipIf(!isRoot).each(CONCENTRATORS)(
  "on a $name concentrator whose tunnels are older than the agent",
  ({ begin, ports, attack, lane, vector, data }) => {
    let lab: Topology;
    let address: Record<4 | 6, string>;
    let agent: RunningAgent | undefined;
    let probes: Probe[] = [];

    beforeAll(async () => {
      lab = await createTopology({ clients: CLIENTS.length });
      ({ address } = await begin(lab));
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

    test.each(FAMILIES)("a flood of handshakes over IPv%i costs no tunnel anything", async (family) => {
      const times = processorTimes();
      probes = lab.clients.map(({ namespace }) => probe({ namespace, target: address[4], intervalMs: 50 }));
      await Promise.all(probes.map((one) => one.answered));

      agent = await startAgent(lab, FOUND_BY_ITSELF);
      const ready = await agent.waitFor("agent.ready");
      expect(ready.ports).toEqual(ports.map((port) => ({ ...port, strictness: "auto" })));
      expect(ready.tunnels).toBe(CLIENTS.length);

      const meter = await startMeter(lab);
      const running = await flood(lab, { attack, pps: 50_000, seconds: 60, family });
      const started = await agent.waitFor("attack.started");
      expect(started).toMatchObject({ lane, vector, tunnelsBefore: CLIENTS.length });
      await agent.waitFor("mitigation.applied");
      const from = Date.now();
      const before = await meter.read();
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
      // So many a second, whatever the rate of the flood.
      expect(after.passed.packets - before.passed.packets).toBeLessThanOrEqual(ADMITTED_PPS * (seconds + 1));
      expect((await agent.waitFor("attack.classified")).vector).toBe(vector);
      const ended = await agent.waitFor("attack.ended", undefined, 30_000);
      expect(ended).toMatchObject({
        tunnelsBefore: CLIENTS.length,
        tunnelsAfter: CLIENTS.length,
        usersDisconnected: 0,
      });

      const tunnels = combine(await Promise.all(probes.map((one) => one.stop())));
      probes = [];
      expect(tunnels.sent).toBeGreaterThan(100);
      expect(tunnels.lost).toBeLessThanOrEqual(bearableLoss(tunnels.sent, times));
    });

    test("replays of a tunnel's own packets, from its own address, cost it nothing", async () => {
      const dataLane = `udp:${data.port}:data`;
      const policy = { ...FOUND_BY_ITSELF.policy, thresholdsPps: { [dataLane]: 5_000 } };
      agent = await startAgent(lab, { ...FOUND_BY_ITSELF, policy });
      probes = lab.clients.map(({ namespace }) => probe({ namespace, target: address[4], intervalMs: 50 }));
      await Promise.all(probes.map((one) => one.answered));
      const overheard = await sniff(lab.clients[0]!, { port: data.port, packets: 5, which: data.which });
      const { source, sourcePort } = overheard[0]!;
      const running = await flood(lab, {
        ...{ attack: "replayed", pps: 100_000, seconds: 60, port: data.port, sources: { address: source }, sourcePort },
        recorded: overheard.map(({ payload }) => payload),
      });
      const started = await agent.waitFor("attack.started");
      expect(started).toMatchObject({ lane: dataLane, vector: data.vector, tunnelsBefore: CLIENTS.length });
      await agent.waitFor("mitigation.applied");
      // What the server had in its socket before there were rules.
      await delay(1_000);
      const [times, since] = [processorTimes(), Date.now()];
      const meter = await startMeter(lab);
      await delay(2_000);
      const { arrived, passed } = await meter.read();
      await meter.stop();
      await running.stop();
      expect(arrived.packets).toBeGreaterThan(10_000);
      expect(passed.packets).toBeLessThan(100);
      const pings = combine(probes.map((one) => one.result())).samples.filter(({ at }) => at > since);
      const lost = pings.filter(({ rttMs }) => rttMs === null).length;
      expect(pings.length).toBeGreaterThan(30);
      expect(lost).toBeLessThanOrEqual(bearableLoss(pings.length, times));
    });
  },
);
