import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { readConfig } from "./config.ts";
import { askAgent, controlSocket } from "./control.ts";
import { NftSocket } from "./netlink.ts";
import { Problem } from "./problem.ts";
import { statusText } from "./status.ts";
import { nft } from "./system.ts";

const NAME = DEFAULT_BRAND.agentName;
/** No agent runs: systemctl's code for "not running". */
const EXIT_NOT_RUNNING = 3;

const socketOf = (configFile: string | undefined) => controlSocket(readConfig(configFile).stateDir);

/** What the running agent sees and does, as text or as it is. */
export async function status(configFile: string | undefined, json: boolean): Promise<unknown> {
  const answer = await askAgent(socketOf(configFile), { command: "status" });
  if (!answer?.ok) throw new Problem("no agent runs here", `Start it with: ${NAME} run`, EXIT_NOT_RUNNING);
  return json ? answer.ok : statusText(answer.ok as Parameters<typeof statusText>[0]);
}

/** Takes back the rules of one attack, or everything. */
export function withdraw(
  attack: string | undefined,
  configFile: string | undefined,
): Promise<{ withdrawn: boolean; words: string }> {
  return attack === undefined ? withdrawAll(configFile) : withdrawOne(attack, configFile);
}

async function withdrawOne(attack: string, configFile: string | undefined) {
  const answer = await askAgent(socketOf(configFile), { command: "withdraw", attack });
  if (!answer) {
    throw new Problem(
      "no agent runs here",
      `\`${NAME} withdraw --all\` removes what a dead one left.`,
      EXIT_NOT_RUNNING,
    );
  }
  const { withdrawn } = (answer.ok ?? { withdrawn: false }) as { withdrawn: boolean };
  if (!withdrawn)
    throw new Problem(`there is no attack ${attack} with rules in force`, `\`${NAME} status\` lists the attacks.`);
  return { withdrawn, words: `Rules of ${attack} withdrawn.` };
}

/** Through the running agent, so that it does not put the rules back; without one straight from the kernel. */
async function withdrawAll(configFile: string | undefined) {
  const answer = await askAgent(socketOf(configFile), { command: "withdraw-all" }).catch(() => undefined);
  if (answer?.ok)
    return { withdrawn: true, words: "Everything withdrawn. The running agent stands down until it is started anew." };
  if (!tableStands()) return { withdrawn: false, words: "There was nothing of ours in the kernel." };
  nft(["-f", "-"], `delete table inet ${NAME}\n`);
  return { withdrawn: true, words: "Everything withdrawn." };
}

function tableStands(): boolean {
  const socket = new NftSocket(NAME);
  try {
    return socket.counters().size > 0;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
