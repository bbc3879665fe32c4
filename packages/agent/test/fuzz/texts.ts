import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { Baselines } from "@flowtriq/detection/baseline";
import { Detector } from "@flowtriq/detection/detect";
import { createRandom, type Random } from "@flowtriq/lab/random";
import { BARE_HOST, type HostFacts } from "@flowtriq/mitigation/facts";
import { lanesOf } from "@flowtriq/mitigation/lanes";
import { toNftables } from "@flowtriq/mitigation/nftables";
import { plan } from "@flowtriq/mitigation/plan";
import type { AgentConfig } from "@flowtriq/protocol/config";
import { NodePolicy } from "@flowtriq/protocol/policy";
import { VECTORS } from "@flowtriq/protocol/vector";
import { localPolicy, parseConfig } from "../../src/config.ts";
import { type Command, serveControl } from "../../src/control.ts";
import { Problem } from "../../src/problem.ts";
import { parseDump, parseUapi, type WireguardInterface } from "../../src/vpn/wireguard.ts";
import { garbled, hostileValue, twisted } from "./material.ts";

const CONFIG = {
  interfaces: ["eth0", "wan.100"],
  ports: [
    { port: 51820, transport: "udp", protocol: "wireguard" },
    { port: 1194, transport: "udp", protocol: "openvpn", strictness: "lenient" },
    { port: 443, transport: "tcp", protocol: "sstp" },
  ],
  mode: "enforce",
  policy: {
    sensitivity: 3,
    neverBlock: ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "2001:db8::7"],
    vectorModes: { udp_flood: "observe" },
    thresholdsPps: { "udp:51820:malformed": 500 },
  },
  stateDir: "/var/lib/agent",
  samplesPerSecond: 200,
  nflogGroup: 4817,
  wireguardPublicKeys: { "51820": Buffer.alloc(32, 7).toString("base64") },
  service: { url: "https://service.example", token: "0123456789abcdef" },
};

/** Configurations and policies that are a little wrong, or wholly: refused with words, or compiled to text that can do no harm. */
export function fuzzConfigurations(seed: number, cases: number): { accepted: number; refused: number } {
  const random = createRandom(seed);
  const seen = { accepted: 0, refused: 0 };
  for (let number = 0; number < cases; number++) {
    const rarity = random.between(10, 150);
    const value = random.below(20) === 0 ? hostileValue(random) : twisted(CONFIG, random, rarity);
    const text = random.below(10) === 0 ? garbled(JSON.stringify(value) ?? "", random) : (JSON.stringify(value) ?? "");
    try {
      compile(parseConfig(text, "/etc/agent.json"), randomPeers(random));
      seen.accepted++;
    } catch (error) {
      assert(error instanceof Problem, `${error} for ${text.slice(0, 500)}`);
      seen.refused++;
    }
    const wanted = {
      revision: 1,
      policy: twisted({ ...CONFIG.policy, mode: "enforce" }, random, rarity),
      ports: CONFIG.ports,
    };
    const policy = NodePolicy.safeParse(wanted);
    if (policy.success) compile({ ...parseConfig("{}", ""), ports: policy.data.ports, policy: policy.data.policy }, []);
  }
  return seen;
}

/** All that an agent does with a configuration before the kernel is asked. */
function compile(config: AgentConfig, seeds: HostFacts["seeds"]): void {
  const ports = config.ports ?? [];
  const policy = localPolicy(config);
  const detector = new Detector({
    ...{ ports, policy, baselines: new Baselines() },
    samples: { ports, mac1Keys: new Map() },
    newId: () => "atk_fuzz00000000",
  });
  const attacks = lanesOf(ports).map((lane, index) => ({
    ...{ id: `atk_fuzz${index}`, lanes: [lane], withdrawn: index % 5 === 0 },
    verdict: VECTORS[index % VECTORS.length]!,
  }));
  const conntrack = seeds.length % 2 === 0;
  const { armed, watched } = plan(policy, attacks, { ports, conntrack });
  assert(!armed.some((lane) => watched.includes(lane)), "a lane both armed and watched");
  for (const hook of ["ingress", "prerouting"] as const) {
    const text = toNftables({
      ...BARE_HOST,
      ...{ conntrack, notrack: conntrack, table: "fuzz" },
      interfaces: config.interfaces.length > 0 ? config.interfaces : ["eth0"],
      ...{ ports, hook, seeds, neverBlock: policy.neverBlock },
      nflogGroup: config.nflogGroup,
      samplesPerSecond: config.samplesPerSecond,
      trips: (lane) => detector.threshold(lane).bell,
    });
    harmless(text);
  }
}

const LINE =
  /^ *(table inet fuzz \{|chain [a-z0-9_]+ \{.*|(set|map) [a-z0-9_]+ \{.*\}|counter [a-z0-9_]+ \{ \}|limit sampler \{.*\}|\}|(flush|add|delete) (chain|set|map) inet fuzz [a-z0-9_]+|add element inet fuzz [a-z0-9_]+ \{ [0-9a-fA-F.:/, ]+ \}|add element inet fuzz ports \{ ([0-9]+ : goto udp_[0-9]+(, )?)+ \}|)$/;
const STATEMENT =
  /^ *(counter|meta|limit|ip|ip6|udp|tcp|icmp|icmpv6|exthdr|ct|numgen|iifname|(add|update) @[a-z0-9_]+|@th|goto|accept|drop)( |,|$)/;

/** Nothing but our own kinds of line, in plain letters, with names inside their quotes, and every brace closed. */
export function harmless(text: string): void {
  assert(
    /^[A-Za-z0-9 _.,:;{}()@&|!=<>"/\n-]*$/.test(text),
    `a letter that has no place: ${/[^A-Za-z0-9 _.,:;{}()@&|!=<>"/\n-]/.exec(text)?.[0]}`,
  );
  let depth = 0;
  for (const line of text.split("\n")) {
    const quoted = line.match(/"[^"]*"/g) ?? [];
    for (const name of quoted) assert(/^"[A-Za-z0-9_.@:-]{1,60}"$/.test(name), `a name: ${name}`);
    const bare = line.replaceAll(/"[^"]*"/g, "");
    assert(!bare.includes('"'), `an open quote: ${line}`);
    assert(LINE.test(bare) || (depth === 2 && STATEMENT.test(bare)), `no line of ours: ${line.slice(0, 200)}`);
    depth += bare.split("{").length - bare.split("}").length;
    assert(depth >= 0 && depth <= 2, `braces: ${line.slice(0, 200)}`);
  }
  assert.equal(depth, 0, "an open brace");
}

const UAPI = [
  "private_key=e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a",
  "listen_port=12912",
  "public_key=b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33",
  "endpoint=[2001:db8::1]:51820",
  "last_handshake_time_sec=1700000000",
  "last_handshake_time_nsec=7",
  "public_key=58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376",
  "endpoint=[fe80::1%eth0]:38833",
  "last_handshake_time_sec=1700000001",
  "public_key=662e14fd594556f522604703340351258903b64f35553763f19426ab2a515c58",
  "endpoint=192.0.2.9:38834",
  "last_handshake_time_sec=0",
  "errno=0",
  "",
  "",
].join("\n");

const DUMP = [
  "wg0\tprivate\tpublic\t51820\toff",
  "wg0\tpeer1\t(none)\t192.0.2.1:40000\t10.0.0.2/32\t1700000000\t1\t2\toff",
  "wg0\tpeer2\t(none)\t[2001:db8::2]:40000\t10.0.0.3/32\t0\t1\t2\t25",
  "wg0\tpeer3\t(none)\t[fe80::3%eth0]:40000\t10.0.0.4/32\t1700000000\t1\t2\t25",
  "wg0\tpeer4\t(none)\t(none)\t(none)\t0\t0\t0\toff",
  "",
].join("\n");

/** What a VPN daemon answers, a little wrong: no exception, and no peer that the rules could not name. */
export function fuzzTunnels(seed: number, cases: number): { peers: number } {
  const random = createRandom(seed);
  const seen = { peers: 0 };
  for (let number = 0; number < cases; number++) {
    const found = [parseUapi("wg0", garbled(UAPI, random)), ...parseDump(garbled(DUMP, random))];
    for (const endpoint of endpointsOf(found)) {
      seen.peers++;
      assert(net.isIP(endpoint.address) !== 0 && !endpoint.address.includes("%"), `an address: ${endpoint.address}`);
      assert(
        endpoint.port > 0 && endpoint.port < 65_536 && Number.isInteger(endpoint.port),
        `a port: ${endpoint.port}`,
      );
    }
  }
  return seen;
}

const endpointsOf = (found: WireguardInterface[]) =>
  found.flatMap(({ peers }) => peers.flatMap(({ endpoint }) => (endpoint ? [endpoint] : [])));

const randomPeers = (random: Random) => endpointsOf([parseUapi("wg0", garbled(UAPI, random)), ...parseDump(DUMP)]);

/** What somebody says to the agent's local door: every line gets an answer or is hung up on, and only commands are obeyed. */
export async function fuzzControl(seed: number, cases: number): Promise<{ answered: number; obeyed: number }> {
  const random = createRandom(seed);
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "fuzz-"));
  const socket = path.join(dir, "control.sock");
  const obeyed: Command[] = [];
  const served = serveControl(socket, (command) => {
    obeyed.push(command);
    return { done: true };
  });
  let answered = 0;
  try {
    while (!fs.existsSync(socket)) await new Promise((resolve) => setImmediate(resolve));
    for (let number = 0; number < cases; number++) {
      const command = twisted(
        { command: random.pick(["status", "withdraw", "withdraw-all"]), attack: "atk_1" },
        random,
        8,
      );
      const line = random.below(3) === 0 ? garbled(JSON.stringify(command) ?? "", random) : JSON.stringify(command);
      const answer = await say(socket, `${line}\n`);
      if (answer === "") continue;
      answered++;
      assert.equal(typeof JSON.parse(answer), "object");
    }
  } finally {
    served.close();
    fs.rmSync(dir, { recursive: true, force: true });
  }
  for (const { command, ...rest } of obeyed) {
    assert(["status", "withdraw", "withdraw-all"].includes(command), `obeyed ${command}`);
    assert(Object.values(rest).every((value) => typeof value === "string"));
  }
  return { answered, obeyed: obeyed.length };
}

const say = (path: string, line: string) =>
  new Promise<string>((resolve) => {
    let heard = "";
    const socket = net.createConnection(path, () => socket.write(line));
    socket.setEncoding("utf8").on("data", (text) => {
      heard += text;
    });
    // Hung up on: an answer too.
    socket.on("error", () => {});
    socket.on("close", () => resolve(heard));
  });
