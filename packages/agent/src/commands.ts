import fs from "node:fs";
import * as z from "zod/mini";
import { readConfig } from "./config.ts";
import { agentSocket, askAgent, type Command } from "./control.ts";
import { enrolment } from "./enrolment.ts";
import { discoverPorts } from "./host.ts";
import { EPERM, NetlinkError } from "./netlink-error.ts";
import { NftSocket } from "./nft-socket.ts";
import { EXIT_CONFIG, notPermitted, Problem } from "./problem.ts";
import { StateDir } from "./state.ts";
import { type StatusReport, statusText } from "./status.ts";
import { nft } from "./system.ts";
import { type Answer, printable, type Style } from "./terminal.ts";
import { enroll } from "./uplink.ts";
import { NAME } from "./usage.ts";

/** The running agent's answer; undefined when none runs here. */
const ask = (configFile: string | undefined, command: Command) =>
  askAgent(agentSocket(readConfig(configFile).stateDir), command);

/** What the running agent sees and does. */
export async function status(configFile: string | undefined, style: Style): Promise<Answer> {
  const answer = await ask(configFile, { command: "status" });
  if (!answer?.ok) throw notRunning(`Start it with: ${NAME} run`);
  return { json: answer.ok, text: statusText(answer.ok as StatusReport, Date.now(), style) };
}

const notRunning = (remedy: string) => new Problem("no agent runs here", remedy);

/** Takes back the rules of one attack, or everything. */
export async function withdraw(attack: string | undefined, configFile: string | undefined): Promise<Answer> {
  const { withdrawn, words } =
    attack === undefined ? await withdrawAll(configFile) : await withdrawOne(attack, configFile);
  return { json: { withdrawn, words }, text: words };
}

async function withdrawOne(attack: string, configFile: string | undefined) {
  const answer = await ask(configFile, { command: "withdraw", attack });
  if (!answer) throw notRunning(`\`${NAME} withdraw --all\` removes what a dead one left.`);
  const { withdrawn } = (answer.ok ?? { withdrawn: false }) as { withdrawn: boolean };
  if (!withdrawn)
    throw new Problem(`there is no attack ${attack} with rules in force`, `\`${NAME} status\` lists the attacks.`);
  return { withdrawn, words: `Rules of ${attack} withdrawn.` };
}

/** Through the running agent, so that it does not put the rules back; without one straight from the kernel. */
async function withdrawAll(configFile: string | undefined) {
  const answer = await ask(configFile, { command: "withdraw-all" }).catch(() => undefined);
  if (answer?.ok)
    return { withdrawn: true, words: "Everything withdrawn. The running agent stands down until it is started anew." };
  if (!tableStands()) return { withdrawn: false, words: "There was nothing of ours in the kernel." };
  nft(["-f", "-"], `delete table inet ${NAME}\n`);
  return { withdrawn: true, words: "Everything withdrawn." };
}

/** Earns this node's key, and keeps it where the agent finds it. */
export async function enrollNode(url: string, token: string, configFile: string | undefined): Promise<Answer> {
  const config = readConfig(configFile);
  const service = ServiceAddress.safeParse({ url, token: token === "-" ? fs.readFileSync(0, "utf8").trim() : token });
  if (!service.success) {
    throw new Problem(
      `cannot enrol with this: ${z.prettifyError(service.error)}`,
      "Give the address (https://…) and the token as the service shows them.",
      EXIT_CONFIG,
    );
  }
  const state = new StateDir(config.stateDir);
  const identity = await enroll(
    service.data.url,
    enrolment(service.data.token, state, config.ports ?? (await discoverPorts())),
  );
  state.writeIdentity(identity);
  state.writePolicy(identity.policy);
  state.writeService({ url: service.data.url });
  const { nodeId, policy } = identity;
  const running = await ask(configFile, { command: "status" }).catch(() => undefined);
  return {
    json: { nodeId, url: service.data.url, revision: policy.revision, restartNeeded: running !== undefined },
    text:
      `This host is ${printable(nodeId)} at ${service.data.url}, policy revision ${policy.revision}.\n` +
      (running
        ? "Restart the running agent: it then reports there."
        : `The agent reports there once it runs: ${NAME} run`),
  };
}

const ServiceAddress = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  token: z.string().check(z.minLength(16), z.maxLength(200)),
});

function tableStands(): boolean {
  const socket = new NftSocket(NAME);
  try {
    return socket.counters().size > 0;
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    if (error.errno === EPERM) throw notPermitted(error);
    return false;
  } finally {
    socket.close();
  }
}
