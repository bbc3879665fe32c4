import { DEFAULT_BRAND } from "@flowtriq/protocol/brand";
import { wrap } from "./terminal.ts";

/**
 * Every command and option, once: parsing, `--help` and the manual page are made from this table. It imports nothing that
 * runs, because the manual page is made from it at build time.
 */
export const NAME = DEFAULT_BRAND.agentName;

type OptionSpec = { short?: string; value?: string; words: string };

export const OPTIONS = {
  config: { short: "c", value: "FILE", words: "The configuration (JSON). Without it everything is found on the host." },
  events: {
    short: "e",
    value: "FILE",
    words: "Append events to FILE, one JSON object a line, instead of standard output.",
  },
  plan: {
    value: "FILE",
    words: "Show what this configuration would load, and touch nothing. --config means the same here.",
  },
  nft: { words: "Print the rules as nft reads them." },
  all: { words: "Take back everything; also what an agent that is gone has left." },
  url: { value: "URL", words: "The address of the service." },
  token: {
    value: "TOKEN",
    words: "The enrolment token, shown by the service when a node is added; - reads it from standard input.",
  },
  json: { words: "Print JSON instead of text, also for errors." },
  help: { short: "h", words: "Say how a command is used." },
  version: { short: "V", words: "Print the version." },
} as const satisfies Record<string, OptionSpec>;
export type OptionName = keyof typeof OPTIONS;

export type CommandSpec = {
  /** What stands between the program's name and the options. */
  operands: readonly { name: string; optional?: boolean }[];
  options: readonly OptionName[];
  /** Those among the options that must be given. */
  required?: readonly OptionName[];
  /** Half a line for the list of commands. */
  summary: string;
  /** Paragraphs for the command's own help and the manual page. */
  words: readonly string[];
};

export const COMMANDS = {
  run: {
    operands: [],
    options: ["config", "events"],
    summary: "protect this host until stopped",
    words: [
      "Watches the interfaces that carry traffic from outside, and drops attacks as the mode allows: observe, approve or enforce. Needs root, or CAP_NET_ADMIN and CAP_NET_RAW.",
      "SIGTERM stops it: in peace it takes its rules with it, under attack they stay until their lease runs out. SIGHUP opens the events file anew and reads the configuration again.",
    ],
  },
  status: {
    operands: [],
    options: ["config"],
    summary: "what the running agent sees and does",
    words: [
      "Shows attacks with their rates before and after the drop, rules with the time left on their lease, tunnels, policy and the connection to the service.",
    ],
  },
  rules: {
    operands: [],
    options: ["plan", "config", "nft"],
    summary: "what the kernel holds now, lane by lane",
    words: [
      "A lane is armed (drops), watched (counts what it would drop), on first aid (held below a bound until somebody has judged) or open. The lease is the time for which the kernel goes on without hearing from the agent.",
      "Reads the kernel, so it also tells of rules whose agent is gone.",
    ],
  },
  doctor: {
    operands: [],
    options: ["config"],
    summary: "check this host, and say what to do",
    words: [
      "Changes nothing. Without root it checks what it may and names what it could not see. Ends with 1 if something must be mended.",
    ],
  },
  test: {
    operands: [],
    options: [],
    summary: "show detection and rules at work, safely",
    words: [
      "Runs the agent against a bounded burst of made-up traffic in a network namespace of its own: the host's rules and traffic are not touched. Where no namespace can be made, the same traffic is put through the detector alone, and the result says so.",
    ],
  },
  replay: {
    operands: [{ name: "FILE" }],
    options: ["config"],
    summary: "run the same decisions on a capture",
    words: [
      "Reads a pcap or pcapng file and prints what would have been decided, in the capture's time, with the defaults of a host that has learned nothing.",
    ],
  },
  withdraw: {
    operands: [{ name: "ATTACK", optional: true }],
    options: ["all", "config"],
    summary: "take rules back at once",
    words: [
      "With ATTACK, takes back the rules of one attack for as long as it lasts. With --all, removes everything; a running agent then stands down until it is started anew.",
    ],
  },
  enroll: {
    operands: [],
    options: ["url", "token", "config"],
    required: ["url", "token"],
    summary: "make this host a node of the service",
    words: [
      "Exchanges the token, which works once, for a key of this node, and keeps that in the state folder. The agent reports there from its next start on.",
    ],
  },
  "config check": {
    operands: [{ name: "FILE" }],
    options: [],
    summary: "say whether a configuration is valid",
    words: ["With --json, prints the configuration with its defaults filled in."],
  },
} as const satisfies Record<string, CommandSpec>;
export type CommandName = keyof typeof COMMANDS;

/** Options that every command takes. */
export const COMMON: readonly OptionName[] = ["json", "help"];

export const EXIT_CODES = [
  ["0", "All is well."],
  [
    "1",
    "Something is wrong, and standard error or the answer says what: no agent runs, a check failed, not permitted.",
  ],
  ["2", "The command line or the configuration is faulty. Nothing was done."],
] as const;

export const ABOUT = "Sees an attack on a VPN concentrator, drops only the attack, and keeps the tunnels up.";

export const specOf = (name: CommandName): CommandSpec => COMMANDS[name];
export const commandNames = Object.keys(COMMANDS) as CommandName[];
export const optionOf = (name: OptionName): OptionSpec => OPTIONS[name];

/** `withdraw [ATTACK] [--all] [--config FILE] [--json]` */
export function synopsis(name: CommandName): string {
  const { operands, options, required = [] } = specOf(name);
  return [
    name,
    ...operands.map(({ name: operand, optional }) => (optional ? `[${operand}]` : operand)),
    ...[...options, "json" as const].map((option) => (required.includes(option) ? flag(option) : `[${flag(option)}]`)),
  ].join(" ");
}

const flag = (name: OptionName) => {
  const { value } = optionOf(name);
  return `--${name}${value ? ` ${value}` : ""}`;
};
const flags = (name: OptionName) => {
  const { short } = optionOf(name);
  return `${short ? `-${short}, ` : ""}${flag(name)}`;
};

const list = (rows: readonly (readonly [string, string])[], width: number): string[] => {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows.map(([name, words]) => `  ${name.padEnd(left - 2)}${wrap(words, width - left, left)}`);
};

/** The list of commands. */
export function overview(width: number): string {
  return [
    `Usage: ${NAME} COMMAND [OPTION]...`,
    "",
    wrap(ABOUT, width),
    "",
    ...list(
      commandNames.map((name) => [name, specOf(name).summary] as const),
      width,
    ),
    "",
    wrap(`Every command takes --json, and --help, which says more. ${NAME} --version prints the version.`, width),
    "",
  ].join("\n");
}

/** One command's help. */
export function helpOf(name: CommandName, width: number): string {
  const { words, options } = specOf(name);
  const usage = `Usage: ${NAME} `;
  return [
    `${usage}${wrap(synopsis(name), width - usage.length, usage.length)}`,
    "",
    ...words.flatMap((paragraph) => [wrap(paragraph, width), ""]),
    ...list(
      [...options, ...COMMON].map((option) => [flags(option), optionOf(option).words] as const),
      width,
    ),
    "",
    ...list(EXIT_CODES, width),
    "",
  ].join("\n");
}
