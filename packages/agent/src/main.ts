import fs from "node:fs";
import { parseArgs } from "node:util";
import { PcapError } from "@flowtriq/detection/pcap";
import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { EXIT_CONFIG, Problem } from "./problem.ts";
import { VERSION } from "./version.ts";

const NAME = DEFAULT_BRAND.agentName;

const HELP = `Usage: ${NAME} <command> [options]

Sees an attack on a VPN concentrator, drops only the attack, and keeps the tunnels up.

  run [--config FILE] [--events FILE]          protect this host until stopped
  replay FILE [--config FILE] [--json]         run the same decisions on a capture
  status [--config FILE] [--json]              what the running agent sees and does
  withdraw ATTACK | --all [--config FILE]      take rules back at once
  config check FILE [--json]                   say whether a configuration is valid
  --version, --help

Without --config everything is found on the host, and only observed.
`;

type Options = { config?: string; events?: string; json?: boolean; all?: boolean };
const print = (value: unknown) =>
  process.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);

/** Each command loads what it needs: a running agent should hold nothing else in memory. */
const COMMANDS: Record<string, (operands: string[], options: Options) => Promise<void>> = {
  run: async (_, { config, events }) => {
    const [{ readConfig }, { run }] = [await import("./config.ts"), await import("./run.ts")];
    const code = await run(readConfig(config), events);
    // Netlink reads still wait in the thread pool; there is nothing left to wait for.
    process.exit(code);
  },
  replay: async ([file], { config, json }) => {
    if (file === undefined) throw usage("replay needs a capture file");
    const [{ readConfig }, { replayFile }] = [await import("./config.ts"), await import("./replay.ts")];
    replayFile(file, config === undefined ? undefined : readConfig(config), json === true, print);
  },
  status: async (_, { config, json }) => {
    const { status } = await import("./commands.ts");
    print(await status(config, json === true));
  },
  withdraw: async ([attack], { config, all, json }) => {
    const { withdraw } = await import("./commands.ts");
    const done = await withdraw(all ? undefined : (attack ?? missingAttack()), config);
    print(json ? done : done.words);
  },
  config: async ([verb, file], { json }) => {
    if (verb !== "check" || file === undefined) throw usage("config knows one thing: config check FILE");
    const { readConfig } = await import("./config.ts");
    const config = readConfig(file);
    print(json ? config : `${file} is valid: mode ${config.mode}, ${config.ports?.length ?? "discovered"} ports.`);
  },
};

const usage = (message: string) => new Problem(message, `\`${NAME} --help\` lists the commands.`, EXIT_CONFIG);
function missingAttack(): never {
  throw new Problem("name an attack, or give --all", `\`${NAME} status\` lists the attacks.`, EXIT_CONFIG);
}

async function main(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv);
  if (values.version) return void print(VERSION);
  const [name, ...operands] = positionals;
  if (values.help || name === undefined) return void process.stdout.write(HELP);
  const command = COMMANDS[name];
  if (!command) throw usage(`there is no command ${name}`);
  await command(operands, values);
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        config: { type: "string", short: "c" },
        events: { type: "string", short: "e" },
        json: { type: "boolean" },
        all: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "V" },
      },
    });
  } catch (error) {
    throw usage((error as Error).message);
  }
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

await main(process.argv.slice(2)).catch(fail);
