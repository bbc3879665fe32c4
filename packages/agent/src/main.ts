import fs from "node:fs";
import { parseArgs } from "node:util";
import { PcapError } from "@flowtriq/detection/pcap";
import { EXIT_CONFIG, EXIT_TROUBLE, Problem } from "./problem.ts";
import { type Answer, paintFor, type Style, widthOf } from "./terminal.ts";
import { COMMON, type CommandName, commandNames, helpOf, NAME, OPTIONS, overview, specOf } from "./usage.ts";
import { VERSION } from "./version.ts";

type Options = { [K in keyof typeof OPTIONS]?: (typeof OPTIONS)[K] extends { value: string } ? string : boolean };
/** Resolves with what to print, or with nothing when the command has printed as it went. */
type Command = (operands: string[], options: Options) => Promise<Answer | undefined>;

/** Standard output as a stream, which a running agent does without. */
function output(): NodeJS.WriteStream {
  if (process.stdout.listenerCount("error") === 0) {
    // Whoever reads may have seen enough: `| head` is no fault.
    process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? 0 : EXIT_TROUBLE));
  }
  return process.stdout;
}
const style = (): Style => ({ width: widthOf(output()), paint: paintFor(output(), process.env) });
const print = (value: unknown) => output().write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);

/** Each command loads what it needs: a running agent should hold nothing else in memory. */
const COMMANDS: Record<CommandName, Command> = {
  run: async (_, { config, events }) => {
    const { run } = await import("./run.ts");
    const code = await run(config, events);
    // Netlink reads still wait in the thread pool; there is nothing left to wait for.
    process.exit(code);
  },
  status: async (_, { config }) => (await import("./commands.ts")).status(config, style()),
  rules: async (_, { plan, config, nft }) => (await import("./rules.ts")).rules(plan ?? config, nft === true, style()),
  doctor: async (_, { config }) => (await import("./doctor.ts")).doctor(config, style()),
  test: async () => (await import("./self-test.ts")).selfTest(style()),
  replay: async ([file], { config, json }) => {
    const [{ readConfig }, { replayFile }] = [await import("./config.ts"), await import("./replay.ts")];
    replayFile(file!, config === undefined ? undefined : readConfig(config), json === true, print);
    return undefined;
  },
  withdraw: async ([attack], { config, all }) => {
    if ((attack === undefined) !== (all === true)) throw usage("name an attack, or give --all", "withdraw");
    return (await import("./commands.ts")).withdraw(attack, config);
  },
  enroll: async (_, { url, token, config }) => (await import("./commands.ts")).enrollNode(url!, token!, config),
  "config check": async ([file]) => {
    const { readConfig } = await import("./config.ts");
    const config = readConfig(file!);
    const ports = config.ports ? `${config.ports.length} ports` : "ports as found on the host";
    return { json: config, text: `${file} is valid: mode ${config.mode}, ${ports}.` };
  },
};

function usage(message: string, command?: CommandName): Problem {
  const help = command ? `${NAME} ${command} --help` : `${NAME} --help`;
  return new Problem(message, `\`${help}\` says how it is used.`, EXIT_CONFIG);
}

async function main(argv: string[]): Promise<void> {
  // What the self-test starts itself as; no commands of an operator.
  if (argv[0] === "self-test-inside") return (await import("./self-test-inside.ts")).inside(argv[1]!, argv[2]!);
  if (argv[0] === "self-test-sender") return (await import("./self-test-inside.ts")).send();
  const { values, positionals } = parse(argv);
  if (values.version) return void print(values.json ? { version: VERSION } : VERSION);
  const name = commandNames.find((command) => command.split(" ").every((word, at) => positionals[at] === word));
  if (!name) {
    if (positionals.length > 0 && positionals[0] !== "help") throw usage(`there is no command ${positionals[0]}`);
    return void output().write(overview(style().width));
  }
  if (values.help) return void output().write(helpOf(name, style().width));
  const answer = await COMMANDS[name](operandsOf(name, positionals), allowed(name, values));
  if (!answer) return;
  print(values.json ? answer.json : answer.text);
  process.exitCode = answer.exitCode ?? 0;
}

function operandsOf(name: CommandName, positionals: string[]): string[] {
  const { operands } = specOf(name);
  const given = positionals.slice(name.split(" ").length);
  const missing = operands.slice(given.length).find(({ optional }) => !optional);
  if (missing) throw usage(`${name} needs ${missing.name}`, name);
  if (given.length > operands.length) throw usage(`${name} has no use for ${given[operands.length]}`, name);
  return given;
}

function allowed(name: CommandName, values: Options): Options {
  const known: readonly string[] = [...specOf(name).options, ...COMMON];
  const stray = Object.keys(values).find((option) => !known.includes(option));
  if (stray) throw usage(`${name} has no option --${stray}`, name);
  const missing = specOf(name).required?.find((option) => values[option] === undefined);
  if (missing) throw usage(`${name} needs --${missing}`, name);
  return values;
}

function parse(argv: string[]): { values: Options; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, option]) => [
      name,
      {
        type: "value" in option ? ("string" as const) : ("boolean" as const),
        ...("short" in option ? { short: option.short } : {}),
      },
    ]),
  );
  try {
    return parseArgs({ args: argv, allowPositionals: true, options });
  } catch (error) {
    throw usage((error as Error).message);
  }
}

function fail(error: unknown): never {
  const problem = error instanceof PcapError ? new Problem(error.message, "Give a pcap or pcapng file.", 2) : error;
  if (!(problem instanceof Problem)) throw error;
  const { message, remedy, exitCode } = problem;
  const words = process.argv.includes("--json")
    ? JSON.stringify({ error: message, remedy })
    : `${NAME}: ${message}\n${remedy}`;
  fs.writeSync(2, `${words}\n`);
  process.exit(exitCode);
}

await main(process.argv.slice(2)).catch(fail);
