/** Run by Bun inside a namespace: what the agent finds there. One JSON line out for each line in. */
import { createInterface } from "node:readline";
import { discoverPorts } from "../src/host.ts";
import { Tunnels } from "../src/tunnels.ts";

const troubles: string[] = [];
const { vpn, ports } = JSON.parse(process.argv[2]!);
const tunnels = new Tunnels({ vpn, ports, onTrouble: (message) => troubles.push(message) });
const questions: Record<string, () => unknown> = {
  count: () => tunnels.count(Date.now() / 1000),
  peers: () => tunnels.livePeers(Date.now() / 1000),
  ports: discoverPorts,
  troubles: () => troubles,
};

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify((await questions[line]!()) ?? null)}\n`);
}
process.exit(0);
