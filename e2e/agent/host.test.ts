import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { flood } from "@flowtriq/lab/flood";
import { startMeter } from "@flowtriq/lab/meter";
import { createTopology, run, start, type Topology } from "@flowtriq/lab/namespaces";
import { TRICKLE_PPS } from "@flowtriq/mitigation/mitigations";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { agentCommand, MINIMAL, type RunningAgent, startAgent } from "./agent.ts";

const isRoot = process.getuid?.() === 0;
const CONFIG = { ...MINIMAL, policy: { quietSeconds: 5, leaseSeconds: 15 } };
/** Where nothing listens. */
const CLOSED = 9_999;

// Network namespaces and rules are root's.
describe.skipIf(!isRoot).each([
  ["tracks connections", true],
  ["tracks none", false],
] as const)("a host that %s", (_, conntrack) => {
  let lab: Topology;
  let agent: RunningAgent | undefined;
  let services: ChildProcess[] = [];

  beforeAll(async () => {
    lab = await createTopology({ clients: 1 });
    if (!conntrack) return;
    // A concentrator translates its clients' addresses; that alone makes the kernel track.
    await run(lab.concentrator.namespace, ["nft", "-f", "-"], {
      input: 'table ip nat { chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }; }\n',
    });
  });
  afterAll(async () => {
    await lab?.destroy();
  });
  afterEach(async () => {
    for (const one of services) one.kill();
    services = [];
    await agent?.end("SIGKILL");
    agent = undefined;
    await agentCommand(lab, "withdraw", "--all");
  });

  const node = async (namespace: string, program: string, ...args: string[]) => {
    const child = start(namespace, ["node", "-e", program, ...args], { stdio: ["pipe", "pipe", "ignore"] });
    services.push(child);
    await once(child.stdout!, "data");
    return child;
  };

  test.each([
    ["UDP to closed ports", "udp_random", "host:udp"],
    ["segments", "ack", "host:tcp"],
    ["resets", "rst", "host:rst"],
  ] as const)(
    "%s of nobody are dropped; what the host asked for and whoever it talks with pass",
    async (_, attack, lane) => {
      await node(lab.concentrator.namespace, SERVER);
      const client = await node(lab.clients[0]!.namespace, CLIENT, lab.concentrator.address[4]);
      agent = await startAgent(lab, CONFIG);
      const running = await flood(lab, { attack, pps: 80_000, seconds: 60, port: CLOSED });
      expect((await agent.waitFor("attack.started")).lane).toBe(lane);
      expect((await agent.waitFor("mitigation.applied")).mitigations).toMatchObject([{ lane }]);
      const meter = await startMeter(lab, { ports: [CLOSED] });
      const from = Date.now();
      let reading = await meter.read();
      while (reading.arrived.packets < 100_000) {
        await delay(100);
        reading = await meter.read();
      }
      for (const transport of ["tcp", "udp", "asked"]) {
        const answered = once(client.stdout!, "data");
        client.stdin!.write(`${transport}\n`);
        expect(String((await answered)[0])).toContain(`${transport} answered`);
      }
      await running.stop();
      const { passed } = await meter.read();
      await meter.stop();
      const seconds = (Date.now() - from) / 1000;
      expect(passed.packets).toBeLessThanOrEqual(TRICKLE_PPS * (seconds + 1));
    },
  );
});

/** Echoes on TCP and UDP 7777; asked for it, the host itself asks the client something over UDP and reports the answer. */
const SERVER = `
require("node:net").createServer((socket) => socket.pipe(socket)).listen(7777, "0.0.0.0");
const udp = require("node:dgram").createSocket("udp4");
const own = require("node:dgram").createSocket("udp4");
let asker;
udp.on("message", (message, from) => {
  if (String(message) !== "asked") return udp.send(message, from.port, from.address);
  asker = from;
  own.send("question", 8888, from.address);
});
own.on("message", () => udp.send("asked", asker.port, asker.address));
udp.bind(7777, () => console.log("up"));
`;
const CLIENT = `
const tcp = require("node:net").connect(7777, process.argv[1], () => console.log("up"));
const udp = require("node:dgram").createSocket("udp4");
const answering = require("node:dgram").createSocket("udp4");
answering.on("message", (message, from) => answering.send("answer", from.port, from.address));
answering.bind(8888);
tcp.on("data", (data) => console.log(data + " answered"));
udp.on("message", (data) => console.log(data + " answered"));
process.stdin.on("data", (data) => {
  const wanted = String(data).trim();
  if (wanted === "tcp") tcp.write("tcp");
  else udp.send(wanted, 7777, process.argv[1]);
});
`;
