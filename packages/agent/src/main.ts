import fs from "node:fs";
import { PcapError } from "@flowtriq/detection/pcap";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { Command } from "commander";
import { readConfig } from "./config.ts";
import { askAgent } from "./control.ts";
import { nft } from "./host.ts";
import { NftSocket } from "./netlink.ts";
import { EXIT_CONFIG, Problem } from "./problem.ts";
import { replayFile } from "./replay.ts";
import { run } from "./run.ts";
import { statusText } from "./status.ts";
import { VERSION } from "./version.ts";

const NAME = DEFAULT_BRAND.agentName;
const print = (value: unknown) =>
  process.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);

const program = new Command(NAME)
  .description("Sees an attack on a VPN concentrator, drops only the attack, and keeps the tunnels up.")
  .version(VERSION)
  .showHelpAfterError();

program
  .command("run")
  .description("protect this host until stopped")
  .option("-c, --config <file>", "configuration (JSON); without it everything is found on the host and only observed")
  .option("-e, --events <file>", "append events to this file, one JSON object a line")
  .action(async (options: { config?: string; events?: string }) => {
    process.exitCode = await run(readConfig(options.config), options.events);
    // Netlink reads still wait in the thread pool; there is nothing left to wait for.
    process.exit();
  });

program
  .command("replay")
  .description("run the same decisions on a capture")
  .argument("<file>", "pcap or pcapng")
  .option("-c, --config <file>", "configuration: ports and policy")
  .option("--json", "events, one JSON object a line")
  .action((file: string, options: { config?: string; json?: boolean }) => {
    replayFile(
      file,
      options.config === undefined ? undefined : readConfig(options.config),
      options.json === true,
      print,
    );
  });

program
  .command("status")
  .description("what the running agent sees and does")
  .option("-c, --config <file>", "configuration, for its stateDir")
  .option("--json", "as JSON")
  .action(async (options: { config?: string; json?: boolean }) => {
    const answer = await askAgent(controlSocket(options.config), { command: "status" });
    if (!answer?.ok) throw new Problem("no agent runs here", `Start it with: ${NAME} run`, 3);
    print(options.json ? answer.ok : statusText(answer.ok as Parameters<typeof statusText>[0]));
  });

program
  .command("withdraw")
  .description("take rules back at once")
  .argument("[attack]", "the attack whose rules to withdraw; they stay away for as long as it lasts")
  .option("--all", "everything of ours in the kernel; a running agent stands down until it is started anew")
  .option("-c, --config <file>", "configuration, for its stateDir")
  .option("--json", "as JSON")
  .action(async (attack: string | undefined, options: { all?: boolean; config?: string; json?: boolean }) => {
    const done = options.all ? await withdrawAll(options.config) : await withdrawOne(attack, options.config);
    print(options.json ? done : done.words);
  });

program
  .command("config")
  .description("look at a configuration")
  .command("check")
  .description("say whether a file is valid, and what it amounts to")
  .argument("<file>")
  .option("--json", "the complete configuration, defaults filled in")
  .action((file: string, options: { json?: boolean }) => {
    const config = readConfig(file);
    print(
      options.json ? config : `${file} is valid: mode ${config.mode}, ${config.ports?.length ?? "discovered"} ports.`,
    );
  });

const controlSocket = (configFile: string | undefined) => `${readConfig(configFile).stateDir}/control.sock`;

async function withdrawOne(attack: string | undefined, configFile: string | undefined) {
  if (!attack) throw new Problem("name an attack, or give --all", `\`${NAME} status\` lists the attacks.`, EXIT_CONFIG);
  const answer = await askAgent(controlSocket(configFile), { command: "withdraw", attack });
  if (!answer) throw new Problem("no agent runs here", `\`${NAME} withdraw --all\` removes what a dead one left.`, 3);
  const { withdrawn } = (answer.ok ?? { withdrawn: false }) as { withdrawn: boolean };
  if (!withdrawn)
    throw new Problem(`there is no attack ${attack} with rules in force`, `\`${NAME} status\` lists the attacks.`);
  return { withdrawn, words: `Rules of ${attack} withdrawn.` };
}

async function withdrawAll(configFile: string | undefined) {
  const answer = await askAgent(controlSocket(configFile), { command: "withdraw-all" }).catch(() => undefined);
  if (answer?.ok)
    return { withdrawn: true, words: "Everything withdrawn. The running agent stands down until it is started anew." };
  if (!tableStands()) return { withdrawn: false, words: "There was nothing of ours in the kernel." };
  nft(["-f", "-"], `delete table inet ${NAME}\n`);
  return { withdrawn: true, words: "Everything withdrawn." };
}

function tableStands(): boolean {
  try {
    const socket = new NftSocket(NAME);
    const stands = socket.counters().size > 0;
    socket.close();
    return stands;
  } catch {
    return false;
  }
}

try {
  await program.parseAsync();
} catch (error) {
  fail(error);
}

function fail(error: unknown): never {
  if (error instanceof Problem) {
    fs.writeSync(2, `${NAME}: ${error.message}\n${error.remedy}\n`);
    process.exit(error.exitCode);
  }
  if (error instanceof PcapError) {
    fs.writeSync(2, `${NAME}: ${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
  throw error;
}
